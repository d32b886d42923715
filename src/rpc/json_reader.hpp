// The grammar of JSON as a machine that is fed bytes; parse_json and JsonFramer both stand on it.
#pragma once

#include <spdkio/rpc/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spdkio::rpc {

class JsonReader {
 public:
  explicit JsonReader(const JsonLimits& limits, JsonComments comments);

  /// Takes bytes up to the end of a value and returns how many it took; all of them when more are needed. A number at
  /// the top level ends with the byte after it, which is not taken. Takes nothing once `failed()`.
  std::size_t feed(std::string_view bytes);
  /// The text ends here: completes a number, or fails if a value is missing or cut short.
  void end();

  bool complete() const { return state_ == State::complete; }
  bool failed() const { return error_.has_value(); }
  bool in_value() const { return started_ && state_ != State::complete; }
  /// `line:column: what is wrong`
  const std::string& error() const { return *error_; }
  /// Gives the complete value and makes ready for the next one; positions count on.
  Json take();
  /// Skips white space and comments after the value; fails on anything else.
  void expect_nothing_more(std::string_view bytes);

 private:
  enum class State : std::uint8_t {
    value,         // a value must start
    array_first,   // a value or ]
    array_next,    // , or ]
    object_first,  // a name or }
    object_name,   // a name
    object_colon,  // :
    object_next,   // , or }
    string,
    escape,
    unicode,
    number,
    literal,
    complete,
    after,  // white space only
  };
  enum class Comment : std::uint8_t { none, slash, line, block, block_star };

  struct Position {
    std::uint64_t line = 1;
    std::uint64_t column = 1;
  };
  struct Member {
    std::string name;
    Json value;
    Position where;
  };
  struct Frame {
    bool is_object = false;
    std::vector<Json> elements;
    std::vector<Member> members;
    std::string name;  // of the member whose value is being read
    Position name_where;
  };

  bool step(char c);  // false: c was not taken and comes again
  void advance(char c);
  std::size_t take_plain(std::string_view bytes);
  void structural(char c);
  void start_value(char c);
  void start_string(bool is_name);
  void comment_byte(char c);
  void string_byte(char c);
  void escape_byte(char c);
  void unicode_byte(char c);
  void append_code_point(std::uint32_t code_point);
  void end_string();
  void end_number();
  void literal_byte(char c);
  void open(bool is_object);
  void close();
  bool has_duplicates(const Frame& frame);
  void emit(Json value);
  void fail(std::string_view what) { fail_at(where_, what); }
  void fail_at(Position where, std::string_view what);
  void fail_expected(char found);
  std::string_view expected() const;
  std::string path() const;

  JsonLimits limits_;
  bool allow_comments_;
  State state_ = State::value;
  Comment comment_ = Comment::none;
  bool started_ = false;  // the first byte of the value was seen
  bool string_is_name_ = false;
  Position where_;          // of the byte that comes next
  Position token_where_;    // of the first byte of the string, number or literal being read
  std::size_t bytes_ = 0;   // of this value
  std::size_t values_ = 0;  // of this text
  std::string token_;
  std::string_view literal_;
  std::uint8_t utf8_left_ = 0;  // continuation bytes still to come
  std::uint8_t utf8_low_ = 0x80;
  std::uint8_t utf8_high_ = 0xBF;
  std::uint8_t hex_digits_ = 0;
  std::uint32_t hex_ = 0;
  std::uint32_t high_surrogate_ = 0;
  bool want_low_surrogate_ = false;
  std::vector<Frame> frames_;
  Json result_;
  std::optional<std::string> error_;
};

}  // namespace spdkio::rpc
