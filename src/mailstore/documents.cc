// Kept by an account beside its mail: documents that its owner or a program for them puts there, and small facts that
// are remembered for a while.
#include "mailstore/changes.h"
#include "mailstore/document.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {
constexpr std::size_t kSwept = 8;  // expired facts that go with each new one, so that none are left for long
}  // namespace

// Nothing: there is no such document.
Task<Result<std::optional<DocumentInfo>>> Changes::document_info(AccountId account, std::string name) {
    auto value = co_await engine_.get(account, keys::document(name));
    if (!value && value.error().code() == Errc::not_found) co_return std::optional<DocumentInfo>();
    if (!value) co_return pass_on(value);
    auto info = decode_document_info({keys::document(name), *value});
    if (!info) co_return pass_on(info);
    co_return std::move(*info);
}

Task<Result<ModSequence>> Changes::put_document(AccountId account, Hot& hot, std::string name, std::string content,
                                                std::optional<ModSequence> expected) {
    auto attempt = [&]() -> Task<Result<ModSequence>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        if (draft->record().closed) co_return fail(Errc::not_found, "the account is gone");
        auto before = co_await document_info(account, name);
        if (!before) co_return pass_on(before);
        if (expected && *expected != (*before ? (*before)->version : ModSequence()))
            co_return fail(Errc::exists, "the document is another than expected");
        if (!*before) {
            auto others = co_await engine_.scan(account, keys::documents(), options_.documents);
            if (!others) co_return pass_on(others);
            if (others->size() >= options_.documents)
                co_return fail(Errc::too_large, "the account has as many documents as it may");
        }
        const DocumentInfo info{name, draft->number(), clock_.now(), content.size()};
        draft->batch.put(keys::document(name), encode(info));
        draft->batch.put(keys::document_content(name), content);
        draft->row.add(Change::Kind::document, kInbox);
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return info.version;
    };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::remove_document(AccountId account, Hot& hot, std::string name,
                                        std::optional<ModSequence> expected) {
    auto attempt = [&]() -> Task<Result<>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        auto before = co_await document_info(account, name);
        if (!before) co_return pass_on(before);
        if (!*before) co_return fail(Errc::not_found, "no such document");
        if (expected && *expected != (*before)->version)
            co_return fail(Errc::exists, "the document is another than expected");
        draft->batch.erase(keys::document(name));
        draft->batch.erase(keys::document_content(name));
        draft->row.add(Change::Kind::document, kInbox);
        co_return co_await commit(account, hot, std::move(*draft));
    };
    co_return co_await repeated(attempt);
}

Task<Result<>> Changes::sweep_facts(AccountId account, Draft& draft, const std::set<std::string>& but) {
    auto expired = co_await engine_.scan(account, keys::facts_until(clock_.now()), kSwept);
    if (!expired) co_return pass_on(expired);
    for (const auto entry : *expired) {
        const auto name = keys::fact_of(entry.key);
        if (but.contains(std::string(name))) continue;
        draft.batch.erase(std::string(entry.key));
        draft.batch.erase(keys::fact(name));
    }
    co_return Result<>{};
}

Task<Result<bool>> Changes::put_fact(AccountId account, Draft& draft, const NewFact& fact) {
    std::optional<Timestamp> replaced;
    auto before = co_await engine_.get(account, keys::fact(fact.name));
    if (!before && before.error().code() != Errc::not_found) co_return pass_on(before);
    if (before) {
        auto known = decode_fact(*before);
        if (!known) co_return pass_on(known);
        if (known->expires > clock_.now() && !fact.renew) co_return false;
        replaced = known->expires;
    }
    auto& batch = draft.batch;
    if (replaced && *replaced != fact.expires) batch.erase(keys::fact_expiry(*replaced, fact.name));
    batch.put(keys::fact(fact.name), encode(Fact{fact.value, fact.expires}));
    batch.put(keys::fact_expiry(fact.expires, fact.name), "");
    co_return true;
}

Task<Result<bool>> Changes::remember(AccountId account, Hot& hot, std::string name, std::string value,
                                     Timestamp expires) {
    const NewFact fact{std::move(name), std::move(value), expires};
    auto attempt = [&]() -> Task<Result<bool>> {
        auto draft = co_await begin(account, hot);
        if (!draft) co_return pass_on(draft);
        if (draft->record().closed) co_return fail(Errc::not_found, "the account is gone");
        auto fresh = co_await put_fact(account, *draft, fact);
        if (!fresh || !*fresh) co_return fresh;
        if (auto swept = co_await sweep_facts(account, *draft, {fact.name}); !swept) co_return pass_on(swept);
        auto done = co_await commit(account, hot, std::move(*draft));
        if (!done) co_return pass_on(done);
        co_return true;
    };
    co_return co_await repeated(attempt);
}

}  // namespace poplar::mailstore
