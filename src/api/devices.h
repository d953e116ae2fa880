#pragma once
// Devices: passwords of an account for one client each.
#include "api/operation.h"

namespace poplar::api {

struct Device {
    std::string id, name, created;
    std::vector<std::string> protocols, from, mailboxes;
    Nullable<std::string> expires;
    bool read_only = false;
    std::string view;
    Nullable<std::string> last_used;
    std::string last_from, last_protocol;
    std::uint64_t logins = 0, fetched = 0, deleted = 0;
    std::optional<std::string> password;
    static const Shape& shape();
};

struct DeviceList {
    std::vector<Device> devices;
    static const Shape& shape();
};

struct AddDevice {
    std::string address, name;
    std::optional<std::vector<std::string>> protocols, from, mailbox;
    std::optional<Seconds> expires;
    std::optional<Yes> read_only;
    std::optional<std::string> view, since;
    using Reply = Device;
    static const Operation& operation();
};

struct ListDevices {
    std::string address;
    using Reply = DeviceList;
    static const Operation& operation();
};

struct SetDevice {
    std::string address, id;
    std::optional<std::string> name;
    std::optional<std::vector<std::string>> protocols, from, mailbox;
    std::optional<Nullable<Seconds>> expires;
    using Reply = Device;
    static const Operation& operation();
};

struct DeviceRevocation {
    std::string id, name;
    std::uint64_t sessions_ended = 0;
    static const Shape& shape();
};

struct RevokeDevice {
    std::string address, id;
    using Reply = DeviceRevocation;
    static const Operation& operation();
};

}  // namespace poplar::api
