// Whether an account's mail is encrypted, and making it so.
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
    co_return EncryptionStatus{state, now.key};
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
