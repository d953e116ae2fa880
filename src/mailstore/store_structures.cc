// Structures and threads of messages: made when somebody first asks, and kept.
#include <utility>

#include "mailstore/store_parts.h"

namespace poplar::mailstore {

Task<Result<mail::Structure>> MailStore::Impl::read_structure(AccountId account, StoredMessage message,
                                                              encryption::MailKeyPtr key) {
    auto body = co_await open(account, std::move(message), std::move(key));
    if (!body) co_return pass_on(body);
    mail::StructureReader reader;
    for (;;) {
        auto chunk = co_await (*body)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) co_return reader.finish();
        reader.feed(*chunk);
    }
}

Task<std::vector<Result<ThreadId>>> MailStore::Impl::join_threads(MailStore& store, AccountId account,
                                                                  std::vector<StoredMessage> messages) {
    auto described = co_await store.structures(account, messages);
    std::vector<Changes::Marked> marked;
    for (std::size_t i = 0; i < messages.size(); ++i)
        if (described[i]) {
            auto marks = thread_marks(*described[i], messages[i].unique_id);
            marked.push_back({std::move(messages[i]), std::move(marks)});
        }
    Result<std::vector<ThreadId>> joined;
    if (!marked.empty()) {
        auto change = [this, account, marked = std::move(marked)](Hot& hot) mutable {
            return changes.join_threads(account, hot, std::move(marked));
        };
        joined = co_await alone<std::vector<ThreadId>>(account, std::move(change));
    }
    std::vector<Result<ThreadId>> found;
    std::size_t next = 0;
    for (const auto& structure : described)
        if (!structure)
            found.push_back(std::unexpected(structure.error()));
        else if (!joined)
            found.push_back(std::unexpected(joined.error()));
        else
            found.push_back((*joined)[next++]);
    co_return found;
}

// A full disk, or whatever else keeps a structure from being kept, keeps nobody from reading.
Task<std::vector<Result<mail::Structure>>> MailStore::structures(AccountId account, std::vector<StoredMessage> messages,
                                                                 encryption::MailKeyPtr key) {
    std::vector<Result<mail::Structure>> found;
    std::vector<Changes::Described> made;
    std::uint64_t octets = 0;
    for (auto& message : messages) {
        const bool last = found.size() + 1 == messages.size();
        auto row = co_await impl_->engine.get(account, keys::structure(message.body));
        auto structure = row ? mail::decode_structure(*row) : Result<mail::Structure>(std::unexpected(row.error()));
        if (!structure) {
            structure = co_await impl_->read_structure(account, message, key);
            if (structure && !is_sealed(message)) {
                made.push_back({std::move(message), mail::encode(*structure)});
                octets += made.back().structure.size();
            }
        }
        found.push_back(std::move(structure));
        const auto& options = impl_->options;
        if (made.empty() || (!last && made.size() < options.commit_messages && octets < options.commit_octets))
            continue;
        auto change = [impl = impl_.get(), account, made = std::exchange(made, {})](Hot& hot) mutable {
            return impl->changes.keep_structures(account, hot, std::move(made));
        };
        co_await impl_->alone<void>(account, std::move(change));
        octets = 0;
    }
    co_return found;
}

Task<Result<>> MailStore::drop_structures(AccountId account) {
    for (;;) {
        auto change = [impl = impl_.get(), account](Hot& hot) { return impl->changes.drop_structures(account, hot); };
        auto more = co_await impl_->alone<bool>(account, std::move(change));
        if (!more) co_return pass_on(more);
        if (!*more) co_return Result<>{};
    }
}

Task<std::vector<Result<ThreadId>>> MailStore::threads(AccountId account, std::vector<StoredMessage> messages) {
    std::vector<Result<ThreadId>> found;
    std::vector<StoredMessage> without;  // those that have no thread yet, and their places in `found`
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (is_sealed(messages[i])) {
            found.emplace_back(own_thread(messages[i].unique_id));
            continue;
        }
        auto row = co_await impl_->engine.get(account, keys::thread(messages[i].body));
        auto decoded = row ? decode_thread(*row) : Result<ThreadRow>(std::unexpected(row.error()));
        if (decoded)
            found.push_back(decoded->thread);
        else
            found.push_back(std::unexpected(decoded.error()));
        if (!row && row.error().code() == Errc::not_found) {
            places.push_back(i);
            without.push_back(std::move(messages[i]));
        }
        const bool last = i + 1 == messages.size();
        if (without.empty() || (!last && without.size() < impl_->options.commit_messages)) continue;
        auto joined = co_await impl_->join_threads(*this, account, std::exchange(without, {}));
        for (std::size_t n = 0; n < places.size(); ++n) found[places[n]] = std::move(joined[n]);
        places.clear();
    }
    co_return found;
}

}  // namespace poplar::mailstore
