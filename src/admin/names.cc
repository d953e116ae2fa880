#include "admin/names.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

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

std::unexpected<Error> explain(const Error& failed, Errc code, std::string message) {
    if (failed.code() == code) return fail(code, std::move(message));
    return std::unexpected(failed);
}

}  // namespace poplar::admin
