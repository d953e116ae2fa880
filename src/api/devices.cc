#include "api/devices.h"

#include "api/types.h"

namespace poplar::api {

namespace {

constexpr std::string_view kAddress = "The account, for example jane@example.org";
constexpr std::string_view kId = "The device: its id, or its name";
constexpr std::string_view kProtocols =
    "The protocols that it is good for: pop3, imap, submission, sieve; all if none is said";
constexpr std::string_view kFrom =
    "A network that it may be used from, for example 192.0.2.0/24; anywhere if none is said";
constexpr std::string_view kMailbox =
    "A mailbox by name or special use that its maildrop has the messages of, beside the others that are named; INBOX "
    "alone if none is said";
constexpr std::uint64_t kMostTime = 100ULL * 366 * 24 * 3600;

}  // namespace

const Shape& Device::shape() {
    static const Shape shape{
        "Device",
        "A device. Its password is stored as a hash and shown once, when it is made.",
        {field<&Device::id>("id", "The first four symbols of its password"),
         field<&Device::name>("name", "As the user calls it"), field<&Device::created>("created", "When"),
         field<&Device::protocols>("protocols", "The protocols that it is good for"),
         field<&Device::from>("from", "The networks that it may be used from; none: anywhere"),
         field<&Device::expires>("expires", "Null: never"),
         field<&Device::read_only>("read_only", "It deletes nothing"),
         field<&Device::view>("view",
                              "`own`: what it deletes stays there for others; `shared`: it sees and deletes what "
                              "the account's password does"),
         field<&Device::mailboxes>("mailboxes", "The mailboxes whose messages its maildrop has"),
         field<&Device::last_used>("last_used", "Null: not yet"),
         field<&Device::last_from>("last_from", "The address of the last login"),
         field<&Device::last_protocol>("last_protocol", "Of the last login"),
         field<&Device::logins>("logins", "Since it was made"),
         field<&Device::fetched>("fetched", "Messages that it fetched"),
         field<&Device::deleted>("deleted", "Messages that it deleted"),
         field<&Device::password>("password",
                                  "When it was just made: 28 symbols in groups; typed with or without hyphens and "
                                  "spaces, in either case")}};
    return shape;
}

const Shape& DeviceList::shape() {
    static const Shape shape{"DeviceList", "", {field<&DeviceList::devices>("devices", "In order of their names")}};
    return shape;
}

const Operation& AddDevice::operation() {
    static const Operation operation{
        .request =
            {"AddDevice",
             "Make a password for one device or program, and print it once",
             {field<&AddDevice::address>("address", kAddress),
              field<&AddDevice::name>("name", "As the user calls it, for example \"old laptop\""),
              field<&AddDevice::protocols>("protocols", kProtocols).called("NAME").up_to(4),
              field<&AddDevice::from>("from", kFrom).called("NETWORK").up_to(32),
              field<&AddDevice::mailbox>("mailbox", kMailbox).called("NAME").up_to(32),
              field<&AddDevice::expires>("expires", "When its time is over, from now").called("TIME").up_to(kMostTime),
              field<&AddDevice::read_only>("read_only", "It can fetch and delete nothing"),
              field<&AddDevice::view>("view",
                                      "own (default): what it deletes stays there for others; shared: it sees "
                                      "and deletes what the account's password does"),
              field<&AddDevice::since>("since",
                                       "The mail that it gets in a view of its own: all (default), now for what "
                                       "comes from now on, or of so long, for example 30d")}},
        .method = Method::post,
        .route = "/v1/accounts/{address}/devices",
        .reply = &Device::shape(),
        .status = 201};
    return operation;
}

const Operation& ListDevices::operation() {
    static const Operation operation{.request = {"ListDevices",
                                                 "List an account's devices, and what they were used for",
                                                 {field<&ListDevices::address>("address", kAddress)}},
                                     .method = Method::get,
                                     .route = "/v1/accounts/{address}/devices",
                                     .reply = &DeviceList::shape()};
    return operation;
}

const Operation& SetDevice::operation() {
    static const Operation operation{
        .request = {"SetDevice",
                    "Change what a device is called or may do; its password stays",
                    {field<&SetDevice::address>("address", kAddress), field<&SetDevice::id>("id", kId),
                     field<&SetDevice::name>("name", "A new name"),
                     field<&SetDevice::protocols>("protocols", kProtocols).called("NAME").up_to(4),
                     field<&SetDevice::from>("from", kFrom).called("NETWORK").up_to(32),
                     field<&SetDevice::mailbox>("mailbox", kMailbox).called("NAME").up_to(32),
                     field<&SetDevice::expires>("expires", "When its time is over, from now; null (default): never")
                         .called("TIME")
                         .up_to(kMostTime)}},
        .method = Method::put,
        .route = "/v1/accounts/{address}/devices/{id}",
        .reply = &Device::shape(),
        .answer = "Members that are missing stay. Sessions of the device that may go on no longer are ended."};
    return operation;
}

const Shape& DeviceRevocation::shape() {
    static const Shape shape{
        "DeviceRevocation",
        "",
        {field<&DeviceRevocation::id>("id", "Of the device"),
         field<&DeviceRevocation::name>("name", "As it was called"),
         field<&DeviceRevocation::sessions_ended>("sessions_ended", "Its open sessions, which were ended")}};
    return shape;
}

const Operation& RevokeDevice::operation() {
    static const Operation operation{
        .request = {"RevokeDevice",
                    "Take a device's password back, at once, and end its sessions",
                    {field<&RevokeDevice::address>("address", kAddress), field<&RevokeDevice::id>("id", kId)}},
        .method = Method::remove,
        .route = "/v1/accounts/{address}/devices/{id}",
        .reply = &DeviceRevocation::shape()};
    return operation;
}

}  // namespace poplar::api
