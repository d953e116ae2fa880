#include "auth/claims.h"

#include <fmt/format.h>

namespace poplar::auth {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kNameLimit = 512;  // octets

std::string text_of(const Json& claims, const std::string& name) {
    auto found = claims.find(name);
    return found != claims.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// A NumericDate (RFC 7519 s2): seconds, maybe with a fraction. Not a time: nothing.
std::optional<double> time_of(const Json& claims, const char* name) {
    auto found = claims.find(name);
    if (found == claims.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
}

bool names(const Json& claims, const char* member, const std::string& wanted) {
    auto found = claims.find(member);
    if (found == claims.end()) return false;
    if (found->is_string()) return found->get_ref<const std::string&>() == wanted;
    if (!found->is_array()) return false;
    return std::ranges::any_of(*found, [&](const Json& one) { return one.is_string() && one == wanted; });
}

/// RFC 8693 s4.2: words of one text. Some issuers write a list, `scp` or both.
bool has_scope(const Json& claims, const std::string& wanted) {
    for (const char* member : {"scope", "scp"}) {
        if (names(claims, member, wanted)) return true;
        auto words = " " + text_of(claims, member) + " ";
        if (words.contains(" " + wanted + " ")) return true;
    }
    return false;
}

/// Issuers that don't verify leave the claim out; some write it as a text.
bool is_verified(const Json& claims) {
    auto found = claims.find("email_verified");
    return found == claims.end() || *found == true || *found == "true";
}

}  // namespace

Result<TokenHolder> holder_by_claims(const Json& claims, const TokenOptions& options, Timestamp now) {
    if (!options.issuer.empty() && text_of(claims, "iss") != options.issuer)
        return fail(Errc::denied, "token: another issuer");
    if (options.audience != kAnyAudience && !names(claims, "aud", options.audience))
        return fail(Errc::denied, "token: for another audience");
    if (!options.scope.empty() && !has_scope(claims, options.scope)) return fail(Errc::denied, "token: not this scope");
    auto seconds = std::chrono::duration<double>(now.time_since_epoch()).count();
    auto leeway = std::chrono::duration<double>(options.leeway).count();
    auto expires = time_of(claims, "exp"), begins = time_of(claims, "nbf");
    if (claims.contains("exp") && (!expires || !(seconds < *expires + leeway)))
        return fail(Errc::denied, "token: expired");
    if (claims.contains("nbf") && (!begins || !(seconds >= *begins - leeway)))
        return fail(Errc::denied, "token: not valid yet");
    auto name = text_of(claims, options.account_claim);
    if (name.empty() || name.size() > kNameLimit || name.find('\0') != std::string::npos)
        return fail(Errc::denied, fmt::format("token: no claim \"{}\"", options.account_claim));
    // OpenID Connect Core s5.1: the issuer has not checked that the address is its user's.
    if (options.account_claim == "email" && !is_verified(claims))
        return fail(Errc::denied, "token: the address is not verified");
    auto claims_one = [&](const char* member, const std::vector<std::string>& wanted) {
        return std::ranges::any_of(wanted, [&](const std::string& one) { return names(claims, member, one); });
    };
    return TokenHolder(std::move(name),
                       claims_one("acr", options.required_acr) || claims_one("amr", options.required_amr));
}

}  // namespace poplar::auth
