#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "mail/downgrade.h"
#include "mail/wire_form.h"
#include "mailstore/mail_store.h"

namespace poplar::imap {

/// A message on its way to the store, in whatever pieces it comes: never whole in memory.
class Incoming {
public:
    explicit Incoming(std::unique_ptr<mailstore::ContentWriter> writer) : writer_(std::move(writer)) {}

    /// Lines may end in LF alone. A failure to write is finish()'s.
    Task<> add(std::string_view octets);
    std::uint64_t octets() const { return octets_; }  ///< that were added
    bool has_nul() const { return has_nul_; }
    /// The message, without where it goes. Errors: those of ContentWriter's functions.
    Task<Result<mailstore::NewMessage>> finish();

private:
    Task<> keep();

    std::unique_ptr<mailstore::ContentWriter> writer_;
    mail::WireEncoder encoder_{mail::BareNewlines::normalize};
    mail::Downgrader downgrader_;
    std::string wire_;
    std::uint64_t octets_ = 0;
    bool has_nul_ = false;
    Result<> written_;
};

}  // namespace poplar::imap
