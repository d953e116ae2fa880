// Whether an account's mail is encrypted, and making it so.
#include "base/turn.h"
#include "mailstore/keys.h"
#include "mailstore/store_parts.h"

namespace poplar::mailstore {

Task<Result<EncryptionStatus>> MailStore::encryption(AccountId account) {
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    if (!record->encryption) co_return EncryptionStatus{};
    using State = EncryptionStatus::State;
    const auto& now = *record->encryption;
    auto state = now.state == AccountEncryption::State::sealed ? State::on : State::beginning;
    if (!now.seals()) state = State::ending;
    EncryptionStatus status{state, now.key};
    if (state == State::on) status.sealed = now.sealed;
    co_return status;
}

Task<Result<SealedCount>> MailStore::count_sealed(AccountId account) {
    constexpr std::size_t kCounted = 1000;
    SealedCount all;
    for (bool live : {true, false}) {
        auto range = live ? keys::messages() : keys::retained();
        for (bool more = true; more;) {
            auto page = co_await impl_->engine.scan(account, range, kCounted);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                bool sealed = false;  // what can't be decoded may be in clear
                if (live) {
                    if (auto message = decode_message(entry)) sealed = is_sealed(*message);
                } else if (auto retained = decode_retained(entry)) {
                    sealed = is_sealed(retained->message);
                }
                ++(sealed ? all.sealed : all.in_clear);
            }
            more = page->size() == kCounted;
            if (more) range.begin_behind(page->back().key);
            if (turn::over()) co_await turn::let_others();
        }
    }
    co_return all;
}

Task<Result<>> MailStore::begin_encryption(AccountId account, encryption::PublicKey key) {
    auto change = [impl = impl_.get(), account, key](Hot& hot) {
        return impl->changes.begin_encryption(account, hot, key);
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<>> MailStore::end_encryption(AccountId account) {
    auto change = [impl = impl_.get(), account](Hot& hot) { return impl->changes.end_encryption(account, hot); };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<Converted>> MailStore::convert(AccountId account, std::string from, encryption::MailKeyPtr key) {
    auto change = [impl = impl_.get(), account, from = std::move(from), key = std::move(key)](Hot& hot) {
        return impl->changes.convert(account, hot, from, key);
    };
    co_return co_await impl_->alone<Converted>(account, std::move(change));
}

Task<Result<>> MailStore::finish_conversion(AccountId account) {
    auto change = [impl = impl_.get(), account](Hot& hot) { return impl->changes.finish_conversion(account, hot); };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

}  // namespace poplar::mailstore
