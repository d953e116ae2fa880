#include "screening/signing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mail/address.h"
#include "mail/address_list.h"
#include "screening/signature.h"
#include "screening/tag_list.h"

namespace poplar::screening {

namespace {

// RFC 6376 s5.4.1. Those of the first group are signed once more than there are of them, so that nobody can add one.
constexpr std::array kOversigned = {"from", "reply-to",   "to",           "cc",          "subject",
                                    "date", "message-id", "mime-version", "content-type"};
constexpr std::array kSigned = {"sender",
                                "content-transfer-encoding",
                                "content-disposition",
                                "content-id",
                                "in-reply-to",
                                "references",
                                "resent-from",
                                "resent-to",
                                "resent-cc",
                                "resent-date",
                                "resent-message-id",
                                "resent-sender",
                                "list-id",
                                "list-help",
                                "list-unsubscribe",
                                "list-unsubscribe-post",
                                "list-subscribe",
                                "list-post",
                                "list-owner",
                                "list-archive",
                                "auto-submitted",
                                "openpgp",
                                "autocrypt"};
constexpr std::size_t kMostOfOne = 20;  // fields of one name
constexpr std::size_t kLine = 76;

std::vector<std::string> names_to_sign(const Header& header) {
    std::vector<std::string> names;
    const auto add = [&](const char* name, std::size_t more) {
        const auto count = std::min(header.named(name).size() + more, kMostOfOne);
        names.insert(names.end(), count, name);
    };
    for (const auto* name : kOversigned) add(name, 1);
    for (const auto* name : kSigned) add(name, 0);
    return names;
}

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) out += (out.empty() ? "" : ":") + name;
    return out;
}

}  // namespace

void KeyRing::set(const std::string& domain, std::vector<SigningKey> keys) {
    std::vector<std::shared_ptr<const SigningKey>> shared;
    for (auto& key : keys) shared.push_back(std::make_shared<const SigningKey>(std::move(key)));
    std::unique_lock lock(mutex_);
    if (shared.empty())
        keys_.erase(domain);
    else
        keys_[domain] = std::move(shared);
    count_ = keys_.size();
}

std::optional<Signer> KeyRing::signer(std::string_view domain, Timestamp now) const {
    if (empty()) return std::nullopt;
    std::shared_lock lock(mutex_);
    for (;;) {
        if (const auto found = keys_.find(domain); found != keys_.end()) {
            Signer signer{found->first, {}};
            for (const auto& key : found->second) {
                if (key->from > now) continue;
                const auto same = std::ranges::find_if(
                    signer.keys, [&](const auto& other) { return other->key.algorithm() == key->key.algorithm(); });
                if (same == signer.keys.end())
                    signer.keys.push_back(key);
                else if (key->from >= (*same)->from)
                    *same = key;
            }
            if (!signer.keys.empty()) return signer;
        }
        const auto dot = domain.find('.');
        if (dot == domain.npos) return std::nullopt;
        domain.remove_prefix(dot + 1);
    }
}

std::string author_domain(const Header& header) {
    const auto* from = header.only("from");
    if (!from) return {};
    std::string unfolded(from->value());
    std::erase_if(unfolded, [](char c) { return c == '\r' || c == '\n'; });
    std::string domain;
    for (const auto& address : mail::parse_address_list(unfolded, 100)) {
        const auto canonical = address.valid ? mail::canonical_domain(address.domain) : fail(Errc::invalid, "");
        if (!canonical || (!domain.empty() && *canonical != domain)) return {};
        domain = *canonical;
    }
    return domain;
}

void MessageSigner::on_header(std::string text) {
    const Header header(text);
    signer_ = ring_.signer(author_domain(header), now_);
    if (!signer_) return;
    header_ = std::move(text);
    body_.emplace(Canonical::relaxed);
}

void MessageSigner::on_body(std::string_view plain) {
    if (body_) body_->feed(plain);
}

// A relay that folds anew changes nothing, because all is in the relaxed form.
std::string format_tags(std::string_view name, const std::vector<std::pair<std::string, std::string>>& tags) {
    std::string out(name);
    out += ':';
    auto column = out.size();
    for (const auto& [tag, value] : tags) {
        std::string_view rest = value;
        auto piece = fmt::format("{}=", tag);
        if (column + 1 + piece.size() + std::min(rest.size() + 1, kLine / 2) > kLine) {
            out += "\r\n\t";
            column = 1;
        } else {
            out += ' ';
            ++column;
        }
        out += piece;
        column += piece.size();
        const bool list = tag == "h";  // is cut behind a colon, and base64 anywhere
        while (column + rest.size() + 1 > kLine) {
            auto size = column < kLine ? kLine - column : 0;
            if (list) {
                const auto colon = rest.rfind(':', size > 0 ? size - 1 : 0);
                size = colon == rest.npos ? 0 : colon + 1;
            } else if (tag != "b" && tag != "bh") {
                break;  // is not cut
            }
            if (size == 0 && column == 1) break;
            out += rest.substr(0, size);
            out += "\r\n\t";
            rest.remove_prefix(size);
            column = 1;
        }
        out += rest;
        column += rest.size();
        if (&tag != &tags.back().first) {
            out += ';';
            ++column;
        }
    }
    return out + "\r\n";
}

std::string MessageSigner::fields(std::string_view added) {
    if (!signer_) return {};
    const Header header(std::string(added) + header_);
    const auto names = names_to_sign(header);
    const auto hash = encode_base64(body_->finish());
    const auto time = std::chrono::duration_cast<std::chrono::seconds>(now_.time_since_epoch()).count();
    std::string fields;
    for (const auto& key : signer_->keys) {
        std::vector<std::pair<std::string, std::string>> tags = {{"v", "1"},
                                                                 {"a", std::string(name_of(key->key.algorithm()))},
                                                                 {"c", "relaxed/relaxed"},
                                                                 {"d", signer_->domain},
                                                                 {"s", key->selector},
                                                                 {"t", std::to_string(time)},
                                                                 {"h", joined(names)},
                                                                 {"bh", hash},
                                                                 {"b", ""}};
        const auto own = format_tags("DKIM-Signature", tags);
        tags.back().second = encode_base64(key->key.sign(signed_text(header, names, Canonical::relaxed, own)));
        fields += format_tags("DKIM-Signature", tags);
    }
    return fields;
}

}  // namespace poplar::screening
