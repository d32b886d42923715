#include "rpc/json_reader.hpp"

#include "rpc/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <numeric>
#include <system_error>

namespace spdkio::rpc {
namespace {

constexpr bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool in_number(char c) { return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
bool is_number(std::string_view token, bool* is_integer) {
  std::size_t i = 0;
  const auto at = [&](std::size_t n) { return n < token.size() ? token[n] : '\0'; };
  const auto digits = [&] {
    const std::size_t begin = i;
    while (is_digit(at(i))) ++i;
    return i - begin;
  };
  if (at(i) == '-') ++i;
  if (at(i) == '0') {
    ++i;
  } else if (digits() == 0) {
    return false;
  }
  *is_integer = true;
  if (at(i) == '.') {
    ++i;
    *is_integer = false;
    if (digits() == 0) return false;
  }
  if (at(i) == 'e' || at(i) == 'E') {
    ++i;
    *is_integer = false;
    if (at(i) == '+' || at(i) == '-') ++i;
    if (digits() == 0) return false;
  }
  return i == token.size();
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  });
}

}  // namespace

JsonReader::JsonReader(const JsonLimits& limits, JsonComments comments)
    : limits_(limits), allow_comments_(comments == JsonComments::allowed) {}

std::size_t JsonReader::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !complete() && !failed()) {
    if (state_ == State::string) {
      const std::size_t plain = take_plain(bytes.substr(taken));
      taken += plain;
      if (plain != 0) continue;
    }
    if (!step(bytes[taken])) continue;
    if (failed()) break;
    advance(bytes[taken]);
    ++taken;
  }
  return taken;
}

void JsonReader::end() {
  if (failed()) return;
  if (comment_ == Comment::line) comment_ = Comment::none;
  if (comment_ != Comment::none) return fail("the text ends inside a comment");
  if (state_ == State::after) return;
  if (state_ == State::number) end_number();
  if (failed() || complete()) return;
  fail(fmt::format("expected {}, found the end of the text", expected()));
}

void JsonReader::expect_nothing_more(std::string_view bytes) {
  state_ = State::after;
  feed(bytes);
  end();
}

Json JsonReader::take() {
  state_ = State::value;
  started_ = false;
  bytes_ = 0;
  values_ = 0;
  return std::move(result_);
}

void JsonReader::advance(char c) {
  if (c == '\n') {
    ++where_.line;
    where_.column = 1;
  } else if ((static_cast<std::uint8_t>(c) & 0xC0) != 0x80) {
    ++where_.column;
  }
  if (started_ && ++bytes_ > limits_.max_bytes)
    fail(fmt::format("a value may have {} bytes, not more", limits_.max_bytes));
}

// Most bytes of most texts are plain characters of strings.
std::size_t JsonReader::take_plain(std::string_view bytes) {
  if (utf8_left_ != 0 || want_low_surrogate_) return 0;
  const std::size_t room = limits_.max_bytes - std::min(bytes_, limits_.max_bytes);
  const auto run = bytes.substr(0, room);
  const auto* stop = std::ranges::find_if(
      run, [](char c) { return c == '"' || c == '\\' || static_cast<std::uint8_t>(c - 0x20) >= 0x60; });
  const auto length = static_cast<std::size_t>(stop - run.begin());
  token_.append(run.substr(0, length));
  where_.column += length;
  bytes_ += length;
  return length;
}

bool JsonReader::step(char c) {
  if (comment_ != Comment::none) {
    comment_byte(c);
    return true;
  }
  switch (state_) {
    case State::string: string_byte(c); return true;
    case State::escape: escape_byte(c); return true;
    case State::unicode: unicode_byte(c); return true;
    case State::literal: literal_byte(c); return true;
    case State::number:
      if (in_number(c)) {
        token_ += c;
        return true;
      }
      end_number();
      return failed();
    default: break;
  }
  if (is_space(c)) return true;
  if (c == '/' && allow_comments_) {
    comment_ = Comment::slash;
    return true;
  }
  structural(c);
  return true;
}

void JsonReader::comment_byte(char c) {
  switch (comment_) {
    case Comment::slash:
      if (c == '/') {
        comment_ = Comment::line;
      } else if (c == '*') {
        comment_ = Comment::block;
      } else {
        fail("'/' starts no comment here: expected '//' or '/*'");
      }
      break;
    case Comment::line:
      if (c == '\n') comment_ = Comment::none;
      break;
    case Comment::block:
      if (c == '*') comment_ = Comment::block_star;
      break;
    case Comment::block_star:
      if (c != '*') comment_ = c == '/' ? Comment::none : Comment::block;
      break;
    case Comment::none: break;
  }
}

void JsonReader::structural(char c) {
  switch (state_) {
    case State::value: return start_value(c);
    case State::array_first:
      if (c == ']') return close();
      return start_value(c);
    case State::array_next:
      if (c == ']') return close();
      if (c != ',') return fail_expected(c);
      state_ = State::value;
      return;
    case State::object_first:
      if (c == '}') return close();
      [[fallthrough]];
    case State::object_name:
      if (c != '"') return fail_expected(c);
      return start_string(true);
    case State::object_colon:
      if (c != ':') return fail_expected(c);
      state_ = State::value;
      return;
    case State::object_next:
      if (c == '}') return close();
      if (c != ',') return fail_expected(c);
      state_ = State::object_name;
      return;
    default: return fail_expected(c);
  }
}

void JsonReader::start_value(char c) {
  if (++values_ > limits_.max_values) return fail(fmt::format("more than {} values", limits_.max_values));
  token_where_ = where_;
  switch (c) {
    case '{': started_ = true; return open(true);
    case '[': started_ = true; return open(false);
    case '"': started_ = true; return start_string(false);
    case 't': literal_ = "true"; break;
    case 'f': literal_ = "false"; break;
    case 'n': literal_ = "null"; break;
    case 'N':
    case 'I': return fail("NaN and Infinity are not JSON");
    case '\'': return fail("strings stand in double quotes");
    default:
      if (c != '-' && !is_digit(c)) return fail_expected(c);
      started_ = true;
      token_.assign(1, c);
      state_ = State::number;
      return;
  }
  started_ = true;
  token_.assign(1, c);
  state_ = State::literal;
}

void JsonReader::literal_byte(char c) {
  if (c != literal_[token_.size()]) {
    return fail_at(token_where_, fmt::format("expected {}, found {}", literal_, in_quotes(token_ + c)));
  }
  token_ += c;
  if (token_.size() != literal_.size()) return;
  emit(literal_ == "null" ? Json(nullptr) : Json(literal_ == "true"));
}

void JsonReader::end_number() {
  bool is_integer = false;
  if (!is_number(token_, &is_integer))
    return fail_at(token_where_, fmt::format("{} is not a number", in_quotes(token_)));
  const char* const begin = token_.data();
  const char* const end = begin + token_.size();
  if (is_integer && token_[0] != '-') {
    std::uint64_t value = 0;
    if (std::from_chars(begin, end, value).ec == std::errc{}) return emit(Json(value));
  } else if (is_integer && token_ != "-0") {
    std::int64_t value = 0;
    if (std::from_chars(begin, end, value).ec == std::errc{}) return emit(Json(value));
  }
  double value = 0;
  if (std::from_chars(begin, end, value).ec != std::errc{}) {
    return fail_at(token_where_, fmt::format("the number {} is beyond what a double holds", in_quotes(token_)));
  }
  emit(Json(value));
}

void JsonReader::start_string(bool is_name) {
  string_is_name_ = is_name;
  token_where_ = where_;
  token_.clear();
  state_ = State::string;
}

void JsonReader::string_byte(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  if (want_low_surrogate_ && c != '\\') return fail("expected the second \\u escape of a surrogate pair");
  if (utf8_left_ != 0) {
    if (byte < utf8_low_ || byte > utf8_high_) return fail("a string holds bytes that are not UTF-8");
    utf8_low_ = 0x80;
    utf8_high_ = 0xBF;
    --utf8_left_;
    token_ += c;
    return;
  }
  if (c == '"') return end_string();
  if (c == '\\') {
    state_ = State::escape;
    return;
  }
  if (byte < 0x20) return fail("control characters in strings must be escaped; is the closing quote missing?");
  if (byte >= 0x80) {
    if (byte < 0xC2 || byte > 0xF4) return fail("a string holds bytes that are not UTF-8");
    utf8_left_ = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
    utf8_low_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    utf8_high_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
  }
  token_ += c;
}

void JsonReader::escape_byte(char c) {
  if (want_low_surrogate_ && c != 'u') return fail("expected the second \\u escape of a surrogate pair");
  state_ = State::string;
  switch (c) {
    case '"':
    case '\\':
    case '/': token_ += c; return;
    case 'b': token_ += '\b'; return;
    case 'f': token_ += '\f'; return;
    case 'n': token_ += '\n'; return;
    case 'r': token_ += '\r'; return;
    case 't': token_ += '\t'; return;
    case 'u':
      hex_digits_ = 0;
      hex_ = 0;
      state_ = State::unicode;
      return;
    default: return fail("no such escape; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
  }
}

void JsonReader::unicode_byte(char c) {
  const int digit = hex_value(c);
  if (digit < 0) return fail("expected four hexadecimal digits after \\u");
  hex_ = hex_ << 4 | static_cast<std::uint32_t>(digit);
  if (++hex_digits_ != 4) return;
  state_ = State::string;
  const bool is_high = hex_ >= 0xD800 && hex_ <= 0xDBFF;
  const bool is_low = hex_ >= 0xDC00 && hex_ <= 0xDFFF;
  if (is_low != want_low_surrogate_) return fail("half of a surrogate pair");
  if (is_high) {
    high_surrogate_ = hex_;
    want_low_surrogate_ = true;
    return;
  }
  if (is_low) {
    hex_ = 0x10000 + ((high_surrogate_ - 0xD800) << 10) + (hex_ - 0xDC00);
    want_low_surrogate_ = false;
  }
  append_code_point(hex_);
}

void JsonReader::append_code_point(std::uint32_t code_point) {
  const auto put = [this](std::uint32_t byte) { token_ += static_cast<char>(byte); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

void JsonReader::end_string() {
  if (!string_is_name_) return emit(Json(std::move(token_)));
  frames_.back().name = std::move(token_);
  frames_.back().name_where = token_where_;
  state_ = State::object_colon;
}

void JsonReader::open(bool is_object) {
  if (frames_.size() >= limits_.max_depth) {
    return fail(fmt::format("more than {} arrays and objects inside each other", limits_.max_depth));
  }
  frames_.emplace_back().is_object = is_object;
  state_ = is_object ? State::object_first : State::array_first;
}

void JsonReader::close() {
  Frame frame = std::move(frames_.back());
  if (!frame.is_object) {
    frames_.pop_back();
    Json array = Json::array();
    array.get_ref<Json::array_t&>() = std::move(frame.elements);
    return emit(std::move(array));
  }
  if (has_duplicates(frame)) return;
  frames_.pop_back();
  Json object = Json::object();
  // Appended without the container's own search for equal names, which would make large objects quadratic.
  Json::object_t::Container& members = object.get_ref<Json::object_t&>();
  members.reserve(frame.members.size());
  for (Member& member : frame.members) members.emplace_back(std::move(member.name), std::move(member.value));
  emit(std::move(object));
}

bool JsonReader::has_duplicates(const Frame& frame) {
  const auto& members = frame.members;
  if (members.size() < 2) return false;
  std::vector<std::uint32_t> order(members.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    const int difference = members[a].name.compare(members[b].name);
    return difference != 0 ? difference < 0 : a < b;
  });
  const auto found = std::ranges::adjacent_find(
      order, [&](std::uint32_t a, std::uint32_t b) { return members[a].name == members[b].name; });
  if (found == order.end()) return false;
  const Member& first = members[*found];
  fail_at(members[*std::next(found)].where, fmt::format("duplicate member {}, already given at {}:{}",
                                                        in_quotes(first.name), first.where.line, first.where.column));
  return true;
}

void JsonReader::emit(Json value) {
  if (frames_.empty()) {
    result_ = std::move(value);
    state_ = State::complete;
    return;
  }
  Frame& frame = frames_.back();
  if (frame.is_object) {
    frame.members.push_back({std::move(frame.name), std::move(value), frame.name_where});
    frame.name.clear();
    state_ = State::object_next;
  } else {
    frame.elements.push_back(std::move(value));
    state_ = State::array_next;
  }
}

std::string_view JsonReader::expected() const {
  switch (state_) {
    case State::array_first: return "a value or ']'";
    case State::array_next: return "',' or ']' after an element";
    case State::object_first: return "a name in double quotes or '}'";
    case State::object_name: return "a name in double quotes";
    case State::object_colon: return "':' after a name";
    case State::object_next: return "',' or '}' after a member";
    case State::string:
    case State::escape:
    case State::unicode: return "the closing quote of a string";
    case State::literal: return literal_;
    case State::after: return "nothing after the value";
    default: return "a value";
  }
}

void JsonReader::fail_expected(char found) {
  const auto byte = static_cast<std::uint8_t>(found);
  const std::string shown =
      byte > 0x20 && byte < 0x7F ? fmt::format("'{}'", found) : fmt::format("byte 0x{:02x}", byte);
  fail(fmt::format("expected {}, found {}", expected(), shown));
}

void JsonReader::fail_at(Position where, std::string_view what) {
  const std::string inside = path();
  error_ = fmt::format("{}:{}: {}", where.line, where.column, what);
  if (!inside.empty()) *error_ += fmt::format(" (in {})", inside);
}

// Of the innermost array or object that is not closed.
std::string JsonReader::path() const {
  std::string out;
  for (std::size_t i = 0; i + 1 < frames_.size(); ++i) {
    const Frame& frame = frames_[i];
    if (!frame.is_object) {
      out += fmt::format("[{}]", frame.elements.size());
    } else if (is_plain_name(frame.name)) {
      if (!out.empty()) out += '.';
      out += frame.name;
    } else {
      out += fmt::format("[{}]", in_quotes(frame.name));
    }
  }
  return out;
}

}  // namespace spdkio::rpc
