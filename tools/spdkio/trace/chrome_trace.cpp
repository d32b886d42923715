#include "spdkio/trace/chrome_trace.hpp"

namespace spdkio::tool {
namespace {

std::uint64_t number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

ChromeTrace::ChromeTrace(std::uint64_t pid, std::string_view process_name, double ticks_per_second)
    : pid_(pid),
      ticks_per_microsecond_(ticks_per_second / 1e6),
      text_("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[") {
  const Json name = {{"name", process_name}};
  add({{"ph", "M"}, {"name", "process_name"}, {"pid", pid_}, {"tid", 0}, {"args", name}});
}

void ChromeTrace::add(const Json& entry) {
  if (!text_.ends_with('[')) text_ += ",\n";
  text_ += rpc::dump_json(entry);
}

// Events come in the order of their ends, so an earlier begin may follow: such times are negative.
double ChromeTrace::microseconds(std::uint64_t ticks) {
  if (first_ticks_ == 0) first_ticks_ = ticks;
  return static_cast<double>(static_cast<std::int64_t>(ticks - first_ticks_)) / ticks_per_microsecond_;
}

void ChromeTrace::add_thread(std::uint64_t thread_id, std::string_view name) {
  const Json args = {{"name", name}};
  add({{"ph", "M"}, {"name", "thread_name"}, {"pid", pid_}, {"tid", thread_id}, {"args", args}});
}

bool ChromeTrace::add_event(std::uint64_t thread_id, const Json& event) {
  if (!event.is_object() || text(event, "name").empty() || number(event, "begin") == 0) return false;
  const std::string object = text(event, "object");
  Json entry = {{"name", object.empty() ? text(event, "name") : text(event, "name") + " " + object},
                {"cat", text(event, "group")},
                {"pid", pid_},
                {"tid", thread_id},
                {"ts", microseconds(number(event, "begin"))}};
  Json args = Json::object();
  if (text(event, "group") == "bdev") {
    args["lba"] = number(event, "first");
    args["blocks"] = number(event, "second");
  } else if (event.contains("first")) {
    args["work"] = number(event, "first");
  }
  const double duration = static_cast<double>(number(event, "duration")) / ticks_per_microsecond_;
  if (event.contains("overlaps")) {
    // What overlaps can't be nested in a lane: a pair of asynchronous events, which viewers give lanes of their own.
    entry["id"] = ++last_span_;
    entry["ph"] = "b";
    entry["args"] = args;
    add(entry);
    entry["ph"] = "e";
    entry["ts"] = entry["ts"].get<double>() + duration;
    entry["args"] = Json::object();
    add(entry);
  } else {
    entry["ph"] = "X";
    entry["dur"] = duration;
    entry["args"] = args;
    add(entry);
  }
  ++events_;
  return true;
}

std::string ChromeTrace::finish() {
  text_ += "]}\n";
  return std::move(text_);
}

}  // namespace spdkio::tool
