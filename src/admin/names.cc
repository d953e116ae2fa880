#include "admin/names.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

#include "activity/ledger.h"
#include "base/units.h"

namespace poplar::admin {

Task<Result<directory::Account>> find_account(Context& context, std::string address) {
    auto account = co_await context.directory.find_account(address);
    if (!account) co_return explain(account.error(), Errc::not_found, fmt::format("no account {}", address));
    co_return account;
}

Task<Result<directory::AccountId>> mailbox(Context& context, std::string name) {
    if (name.starts_with("id:")) {
        std::uint64_t id = 0;
        auto [end, error] = std::from_chars(name.data() + 3, name.data() + name.size(), id);
        bool whole = error == std::errc{} && end == name.data() + name.size();
        if (!whole || id < directory::kFirstAccount.value) co_return fail(Errc::invalid, "malformed account id");
        co_return directory::AccountId(id);
    }
    if (name == "postmaster") co_return directory::kPostmasterMailbox;
    auto account = co_await find_account(context, std::move(name));
    if (!account) co_return pass_on(account);
    co_return account->id;
}

std::string time_text(Timestamp time) {
    auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    auto day = std::chrono::floor<std::chrono::days>(seconds);
    std::chrono::year_month_day date(day);
    std::chrono::hh_mm_ss clock(seconds - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int(date.year()), unsigned(date.month()),
                       unsigned(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

namespace {

// A number of so many digits. Takes it and `behind` off the text.
std::optional<int> take_number(std::string_view& text, std::size_t digits, std::string_view behind) {
    const auto number = text.substr(0, digits);
    int value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (number.size() != digits || error != std::errc{} || end != number.data() + digits || value < 0)
        return std::nullopt;
    text.remove_prefix(digits);
    if (!text.starts_with(behind)) return std::nullopt;
    text.remove_prefix(behind.size());
    return value;
}

std::optional<Timestamp> date_of(std::string_view text) {
    const bool whole = text.contains('T');
    const auto year = take_number(text, 4, "-"), month = year ? take_number(text, 2, "-") : year;
    const auto day = month ? take_number(text, 2, whole ? "T" : "") : month;
    if (!day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) return std::nullopt;
    const Timestamp begin = std::chrono::sys_days(date);
    if (!whole) return text.empty() ? std::optional(begin) : std::nullopt;
    const auto hour = take_number(text, 2, ":"), minute = hour ? take_number(text, 2, ":") : hour;
    const auto second = minute ? take_number(text, 2, "Z") : minute;
    if (!second || !text.empty() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
    return begin + std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
}

}  // namespace

Result<Timestamp> time_of(std::string_view text, Timestamp now) {
    if (auto date = date_of(text)) return *date;
    if (auto before = parse_duration(text)) return now - *before;
    return fail(Errc::invalid,
                fmt::format("\"{}\" is no time: 2026-11-22T03:05:09Z, 2026-11-22, or for example 7d", text));
}

void note(Context& context, directory::AccountId account, activity::Kind kind, std::string_view what,
          std::uint64_t messages, const directory::Device* device, std::optional<Timestamp> begun) {
    activity::Origin origin{.protocol = "admin"};
    if (device != nullptr) origin.device = device->id, origin.device_name = device->name;
    context.ledger.note(account, kind, origin, what, messages, begun);
}

std::unexpected<Error> explain(const Error& failed, Errc code, std::string message) {
    if (failed.code() == code) return fail(code, std::move(message));
    return std::unexpected(failed);
}

}  // namespace poplar::admin
