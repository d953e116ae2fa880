// The administrator's filter scripts.
#include "api/common_scripts.h"

#include <fmt/format.h>

#include "admin/names.h"
#include "admin/row.h"
#include "admin/script_verdict.h"
#include "base/log.h"
#include "delivery/delivery.h"

namespace poplar::admin {

namespace {

using delivery::CommonPlace;

Result<delivery::CommonScripts*> scripts_of(Context& context) {
    if (auto* scripts = context.delivery.common_scripts()) return scripts;
    return fail(Errc::not_found, "this server has no scripts of its administrator");
}

Result<CommonPlace> place_of(const std::string& word) {
    if (const auto place = delivery::parse_common_place(word)) return *place;
    return fail(Errc::invalid, fmt::format("\"{}\" is no place: before, after or library", word));
}

std::string named(const std::string& place, const std::string& name) { return fmt::format("{}/{}", place, name); }

std::unexpected<Error> about(const Error& failed, const std::string& place, const std::string& name) {
    if (failed.code() == Errc::not_found) return fail(Errc::not_found, fmt::format("no script {}", named(place, name)));
    if (failed.code() == Errc::too_large) return fail(Errc::busy, failed.detail());
    return std::unexpected(failed);
}

Task<Result<api::CommonScriptList>> list_common_scripts(Context& context, Caller, api::ListCommonScripts) {
    auto scripts = scripts_of(context);
    if (!scripts) co_return pass_on(scripts);
    auto found = co_await (*scripts)->list();
    if (!found) co_return pass_on(found);
    api::CommonScriptList list;
    for (const auto& one : *found) {
        auto& out = list.scripts.emplace_back();
        out.place = word_of(one.place);
        out.name = one.name;
        out.built_in = one.built_in;
        out.octets = one.octets;
        if (!one.built_in) out.modified = time_text(one.modified);
    }
    co_return list;
}

Task<Result<api::CommonScriptText>> get_common_script(Context& context, Caller, api::GetCommonScript wanted) {
    auto scripts = scripts_of(context);
    if (!scripts) co_return pass_on(scripts);
    auto place = place_of(wanted.place);
    if (!place) co_return pass_on(place);
    auto text = co_await (*scripts)->get(*place, wanted.name);
    if (!text) co_return about(text.error(), wanted.place, wanted.name);
    co_return api::CommonScriptText{wanted.place, wanted.name, std::move(*text)};
}

/// A domain whose name is mistyped would have a script that never runs.
Task<Result<>> check_domain(Context& context, CommonPlace place, std::string name) {
    if (place == CommonPlace::library || name == delivery::kForAll) co_return Result<>();
    auto domain = co_await context.directory.domain(name);
    if (!domain) co_return explain(domain.error(), Errc::not_found, fmt::format("no domain {}", name));
    co_return Result<>();
}

Task<Result<api::ScriptVerdict>> put_common_script(Context& context, Caller, api::PutCommonScript wanted) {
    auto scripts = scripts_of(context);
    if (!scripts) co_return pass_on(scripts);
    auto place = place_of(wanted.place);
    if (!place) co_return pass_on(place);
    if (auto known = co_await check_domain(context, *place, wanted.name); !known) co_return pass_on(known);
    auto compiled = (*scripts)->check(wanted.text);
    if (!compiled.script) co_return verdict_of(compiled);
    auto done = co_await (*scripts)->put(*place, wanted.name, std::move(wanted.text));
    if (!done) co_return about(done.error(), wanted.place, wanted.name);
    log::info("admin.common_script_put", {{"script", named(wanted.place, wanted.name)}});
    co_return verdict_of(compiled);
}

Task<Result<api::Removal>> delete_common_script(Context& context, Caller, api::DeleteCommonScript wanted) {
    auto scripts = scripts_of(context);
    if (!scripts) co_return pass_on(scripts);
    auto place = place_of(wanted.place);
    if (!place) co_return pass_on(place);
    auto done = co_await (*scripts)->remove(*place, wanted.name);
    if (!done) co_return about(done.error(), wanted.place, wanted.name);
    log::info("admin.common_script_deleted", {{"script", named(wanted.place, wanted.name)}});
    co_return api::Removal{named(wanted.place, wanted.name)};
}

}  // namespace

const std::vector<Row>& common_script_rows() {
    static const std::vector<Row> rows = {
        row<api::ListCommonScripts, list_common_scripts>(),
        row<api::GetCommonScript, get_common_script>(),
        row<api::PutCommonScript, put_common_script>(),
        row<api::DeleteCommonScript, delete_common_script>(),
    };
    return rows;
}

}  // namespace poplar::admin
