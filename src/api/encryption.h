#pragma once
// Mail that is encrypted at rest.
#include "api/operation.h"

namespace poplar::api {

enum class EncryptionState { off, wanted, beginning, on, ending };

struct Encryption {
    std::string address;
    EncryptionState state = EncryptionState::off;
    std::uint64_t passwords = 0, devices = 0, waiting = 0;
    bool recovery_code_made = false, escrow = false;
    std::optional<std::uint64_t> sealed, in_clear;
    std::optional<std::string> since;
    std::uint64_t unreadable = 0;
    std::optional<std::string> recovery_code;
    static const Shape& shape();
};

struct ShowEncryption {
    std::string address;
    using Reply = Encryption;
    static const Operation& operation();
};

struct EnableEncryption {
    std::string address;
    std::optional<std::string> password;
    using Reply = Encryption;
    static const Operation& operation();
};

struct DomainEncryption {
    std::string name;
    std::uint64_t accounts = 0, encrypted = 0, wanted = 0;
    static const Shape& shape();
};

struct EnableDomainEncryption {
    std::string name;
    using Reply = DomainEncryption;
    static const Operation& operation();
};

struct DisableEncryption {
    std::string address;
    std::optional<std::string> password, recovery_code;
    using Reply = Encryption;
    static const Operation& operation();
};

struct MakeRecoveryCode {
    std::string address;
    std::optional<std::string> password;
    using Reply = Encryption;
    static const Operation& operation();
};

}  // namespace poplar::api
