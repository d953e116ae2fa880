// Filter scripts of accounts.
#include "api/scripts.h"

#include <fmt/format.h>

#include "admin/names.h"
#include "admin/row.h"
#include "base/log.h"
#include "delivery/delivery.h"

namespace poplar::admin {

namespace {

api::ScriptVerdict verdict_of(const sieve::Compiled& compiled) {
    api::ScriptVerdict out;
    out.valid = compiled.script != nullptr;
    for (const auto& one : compiled.errors) out.errors.push_back({one.at.line, one.at.column, one.message});
    return out;
}

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
    if (auto compiled = scripts.check(wanted.text); !compiled.script) co_return verdict_of(compiled);
    auto done = co_await scripts.put(account->id, wanted.name, std::move(wanted.text));
    if (!done) co_return about(done.error(), wanted.name);
    log::info("admin.script_put", {{"account", account->address}, {"script", wanted.name}});
    co_return api::ScriptVerdict{true, {}};
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

}  // namespace

const std::vector<Row>& script_rows() {
    static const std::vector<Row> rows = {
        row<api::ListScripts, list_scripts>(),       row<api::GetScript, get_script>(),
        row<api::PutScript, put_script>(),           row<api::CheckScript, check_script>(),
        row<api::ActivateScript, activate_script>(), row<api::DeactivateScripts, deactivate_scripts>(),
        row<api::DeleteScript, delete_script>(),
    };
    return rows;
}

}  // namespace poplar::admin
