#include "cli/verify_printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "api/json.h"
#include "api/server.h"
#include "base/printable.h"
#include "base/units.h"

namespace poplar::cli {

std::string damage_sentence(const api::VerifyEvent& event) {
    std::string text;
    if (event.file) text += fmt::format("{} at {}: ", *event.file, event.offset.value_or(0));
    std::string whose;
    if (event.account)
        whose += fmt::format("account {} ", *event.account);
    else if (event.partition)
        whose += fmt::format("partition {} ", *event.partition);
    if (event.message) whose += fmt::format("message {} ", *event.message);
    if (event.body) whose += fmt::format("body {} ", *event.body);
    if (!whose.empty()) {
        whose.back() = ':';
        text += whose + " ";
    }
    return text + event.what.value_or("");
}

VerifyPrinter::VerifyPrinter(bool json) : json_(json), progress_(!json && isatty(STDERR_FILENO)) {}

void VerifyPrinter::event(const api::VerifyEvent& e) {
    auto number = [](const std::optional<std::uint64_t>& value) { return value.value_or(0); };
    if (json_) {
        fmt::print("{}\n", with_hidden_shown(api::dump(api::to_json(e))));
        std::fflush(stdout);
    } else if (e.type == "damage") {
        clear_progress();
        fmt::print("damaged: {}\n", with_hidden_shown(damage_sentence(e)));
    } else if (e.type == "progress" && progress_) {
        fmt::print(stderr, "\r{} segments, {} records, {} bodies, {} read", number(e.segments), number(e.records),
                   number(e.bodies), human_size(number(e.octets)));
        std::fflush(stderr);
        shown_ = true;
    } else if (e.type == "done") {
        clear_progress();
        fmt::print("checked {} segments, {} records, {} bodies ({}), {} accounts: {}\n", number(e.segments),
                   number(e.records), number(e.bodies), human_size(number(e.octets)), number(e.accounts),
                   number(e.damaged) == 0 ? std::string("no damage") : fmt::format("{} damaged", number(e.damaged)));
    }
    if (e.type == "damage") damaged_ = true;
    if (e.type == "done") done_ = true;
}

void VerifyPrinter::clear_progress() {
    if (shown_) fmt::print(stderr, "\r{:<79}\r", "");
    shown_ = false;
}

}  // namespace poplar::cli
