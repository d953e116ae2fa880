// Filter scripts of accounts.
#include "api/scripts.h"

#include <fmt/format.h>

#include "admin/names.h"
#include "admin/row.h"
#include "admin/script_verdict.h"
#include "base/log.h"
#include "delivery/delivery.h"
#include "delivery/own_scripts.h"

namespace poplar::admin {

api::ScriptVerdict verdict_of(const sieve::Compiled& compiled) {
    api::ScriptVerdict out;
    out.valid = compiled.script != nullptr;
    for (const auto& one : compiled.errors) out.errors.push_back({one.at.line, one.at.column, one.message});
    for (const auto& one : compiled.warnings) out.warnings.push_back({one.at.line, one.at.column, one.message});
    return out;
}

namespace {

std::unexpected<Error> about(const Error& failed, const std::string& name) {
    if (failed.code() == Errc::not_found) return fail(Errc::not_found, fmt::format("no script {}", name));
    if (failed.code() == Errc::denied)
        return fail(Errc::denied, fmt::format("the script {} is active: deactivate it first", name));
    if (failed.code() == Errc::too_large) return fail(Errc::busy, failed.detail());
    return std::unexpected(failed);
}

Task<Result<api::ScriptList>> list_scripts(Context& context, Caller, api::ListScripts wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto found = co_await context.delivery.scripts().list(account->id);
    if (!found) co_return pass_on(found);
    api::ScriptList list;
    for (const auto& one : *found) list.scripts.push_back({one.name, one.active, one.octets, time_text(one.modified)});
    co_return list;
}

Task<Result<api::ScriptText>> get_script(Context& context, Caller, api::GetScript wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto text = co_await context.delivery.scripts().get(account->id, wanted.name);
    if (!text) co_return about(text.error(), wanted.name);
    co_return api::ScriptText{wanted.name, std::move(*text)};
}

Task<Result<api::ScriptVerdict>> put_script(Context& context, Caller, api::PutScript wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto& scripts = context.delivery.scripts();
    auto compiled = scripts.check(wanted.text);
    if (!compiled.script) co_return verdict_of(compiled);
    auto done = co_await scripts.put(account->id, wanted.name, std::move(wanted.text));
    if (!done) co_return about(done.error(), wanted.name);
    log::info("admin.script_put", {{"account", account->address}, {"script", wanted.name}});
    co_return verdict_of(compiled);
}

Task<Result<api::ScriptVerdict>> check_script(Context& context, Caller, api::CheckScript wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    co_return verdict_of(context.delivery.scripts().check(wanted.text));
}

Task<Result<api::ActiveScript>> activate_script(Context& context, Caller, api::ActivateScript wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    if (wanted.name.empty()) co_return fail(Errc::invalid, "a script has a name");
    auto done = co_await context.delivery.scripts().activate(account->id, wanted.name);
    if (!done) co_return about(done.error(), wanted.name);
    log::info("admin.script_activated", {{"account", account->address}, {"script", wanted.name}});
    api::ActiveScript out;
    out.active = wanted.name;
    co_return out;
}

Task<Result<api::ActiveScript>> deactivate_scripts(Context& context, Caller, api::DeactivateScripts wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto done = co_await context.delivery.scripts().activate(account->id, "");
    if (!done) co_return pass_on(done);
    log::info("admin.script_activated", {{"account", account->address}, {"script", ""}});
    co_return api::ActiveScript{};
}

Task<Result<api::Removal>> delete_script(Context& context, Caller, api::DeleteScript wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto done = co_await context.delivery.scripts().remove(account->id, wanted.name);
    if (!done) co_return about(done.error(), wanted.name);
    log::info("admin.script_deleted", {{"account", account->address}, {"script", wanted.name}});
    co_return api::Removal{wanted.name};
}

Task<Result<api::Forward>> get_forward(Context& context, Caller, api::GetForward wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto text = co_await context.delivery.scripts().own(account->id, delivery::OwnScript::forward);
    if (!text && text.error().code() == Errc::not_found)
        co_return fail(Errc::not_found, "the account's mail goes nowhere else");
    if (!text) co_return pass_on(text);
    auto read = delivery::read_forwarding(*text);
    if (!read) co_return pass_on(read);
    co_return api::Forward{std::move(read->to), read->keep};
}

Task<Result<>> set_own(Context& context, const directory::Account& account, delivery::OwnScript which,
                       std::string_view name, std::string text) {
    const bool there = !text.empty();
    auto done = co_await context.delivery.scripts().set_own(account.id, which, std::move(text));
    if (done) log::info("admin.own_script", {{"account", account.address}, {"script", name}, {"active", there}});
    co_return done;
}

Task<Result<api::Forward>> set_forward(Context& context, Caller, api::SetForward wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    const auto most = context.delivery.scripts().limits().redirects;
    if (wanted.to.size() > most)  // every message would be kept instead, because the script would fail
        co_return fail(Errc::invalid, fmt::format("mail goes on to {} addresses at most (sieve.max_redirects)", most));
    auto script = delivery::write_script(delivery::Forwarding{wanted.to, wanted.keep});
    if (!script) co_return pass_on(script);
    auto done = co_await set_own(context, *account, delivery::OwnScript::forward, "forward", std::move(*script));
    if (!done) co_return pass_on(done);
    co_return api::Forward{std::move(wanted.to), wanted.keep};
}

Task<Result<api::Removal>> remove_forward(Context& context, Caller, api::RemoveForward wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto done = co_await set_own(context, *account, delivery::OwnScript::forward, "forward", "");
    if (!done) co_return pass_on(done);
    co_return api::Removal{account->address};
}

Task<Result<api::Vacation>> get_vacation(Context& context, Caller, api::GetVacation wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto text = co_await context.delivery.scripts().own(account->id, delivery::OwnScript::vacation);
    if (!text && text.error().code() == Errc::not_found)
        co_return fail(Errc::not_found, "the account's mail is not answered");
    if (!text) co_return pass_on(text);
    auto read = delivery::read_absence(*text);
    if (!read) co_return pass_on(read);
    co_return api::Vacation{std::move(read->from), std::move(read->to), std::move(read->subject),
                            std::move(read->text)};
}

Task<Result<api::Vacation>> set_vacation(Context& context, Caller, api::SetVacation wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto script = delivery::write_script(delivery::Absence{wanted.from, wanted.to, wanted.subject, wanted.text});
    if (!script) co_return pass_on(script);
    auto done = co_await set_own(context, *account, delivery::OwnScript::vacation, "vacation", std::move(*script));
    if (!done) co_return pass_on(done);
    co_return api::Vacation{std::move(wanted.from), std::move(wanted.to), std::move(wanted.subject),
                            std::move(wanted.text)};
}

Task<Result<api::Removal>> remove_vacation(Context& context, Caller, api::RemoveVacation wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto done = co_await set_own(context, *account, delivery::OwnScript::vacation, "vacation", "");
    if (!done) co_return pass_on(done);
    co_return api::Removal{account->address};
}

}  // namespace

const std::vector<Row>& script_rows() {
    static const std::vector<Row> rows = {
        row<api::ListScripts, list_scripts>(),       row<api::GetScript, get_script>(),
        row<api::PutScript, put_script>(),           row<api::CheckScript, check_script>(),
        row<api::ActivateScript, activate_script>(), row<api::DeactivateScripts, deactivate_scripts>(),
        row<api::DeleteScript, delete_script>(),     row<api::GetForward, get_forward>(),
        row<api::SetForward, set_forward>(),         row<api::RemoveForward, remove_forward>(),
        row<api::GetVacation, get_vacation>(),       row<api::SetVacation, set_vacation>(),
        row<api::RemoveVacation, remove_vacation>(),
    };
    return rows;
}

}  // namespace poplar::admin
