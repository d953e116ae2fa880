#pragma once
// A filter sends mail that goes on, answers and notifications. All of it goes through the queue.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "delivery/srs.h"
#include "directory/directory.h"
#include "mail/dsn.h"
#include "mailstore/content.h"
#include "queue/queue.h"

namespace poplar::screening {
class KeyRing;
}

namespace poplar::delivery {

/// One message that leaves.
struct Departure {
    std::string id;       ///< kIdLength characters (departure_id())
    std::string action;   ///< that sends it, as a part of its id
    std::string account;  ///< the address of the one whose filter sends it
    std::string sender;   ///< "" for the null reverse-path
    std::vector<std::string> recipients;
    std::string head;  ///< trace fields, in wire form
    mailstore::Content content;
    bool utf8 = false, eight_bit = false;
    queue::TlsWish tls = queue::TlsWish::usual;
    mail::Notify notify = {};
    mail::ReturnContent ret = mail::ReturnContent::unspecified;
};

/// An id that is the same whenever the same is sent again: of what `parts` say.
std::string departure_id(std::initializer_list<std::string_view> parts);

/// All functions may be called from any thread.
class Dispatch {
public:
    /// `queue`: null, if nothing leaves.
    Dispatch(directory::Directory& directory, queue::Queue* queue, const Clock& clock, const Srs& srs)
        : directory_(directory), queue_(queue), clock_(clock), srs_(srs) {}

    /// The keys that sign answers of ours; they outlive it.
    void sign_with(const screening::KeyRing& keys) { keys_ = &keys; }
    /// Signatures for the top of a message that an account's filter has written, plain; "": there are no keys, or its
    /// From is an address that the account may not send as. Errors: the directory's.
    Task<Result<std::string>> signatures(directory::AccountId account, std::string text);
    bool sends() const { return queue_ != nullptr; }
    /// Durable when it returns. Errors: those of the queue.
    Task<Result<>> send(Departure departure);
    /// Whether the queue has, or had not long ago, a message of this id.
    Task<Result<bool>> knows(std::string id);
    /// The sender that a message has when it goes on: ours stays, another is wrapped (srs.h). Errors: the directory's.
    Task<Result<std::string>> sender_for(std::string sender);

private:
    directory::Directory& directory_;
    queue::Queue* queue_;
    const Clock& clock_;
    const Srs& srs_;
    const screening::KeyRing* keys_ = nullptr;
};

}  // namespace poplar::delivery
