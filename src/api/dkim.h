#pragma once
// Keys that sign mail of our domains (DKIM).
#include "api/domains.h"

namespace poplar::api {

struct DkimKey {
    std::string domain, selector, algorithm;
    std::string created, signs_from;
    static const Shape& shape();
};

struct DkimKeys {
    std::vector<DkimKey> keys;
    static const Shape& shape();
};

struct DnsRecord {
    std::string name, value;
    static const Shape& shape();
};

struct DnsRecords {
    std::vector<DnsRecord> records;
    static const Shape& shape();
};

struct AddDkim {
    std::string domain;
    std::optional<std::string> selector;
    using Reply = DkimKeys;
    static const Operation& operation();
};

struct ListDkim {
    std::optional<std::string> domain;
    using Reply = DkimKeys;
    static const Operation& operation();
};

struct ShowDkimRecords {
    std::string domain;
    using Reply = DnsRecords;
    static const Operation& operation();
};

struct RotateDkim {
    std::string domain;
    std::optional<std::string> selector;
    std::optional<Seconds> after;
    using Reply = DkimKeys;
    static const Operation& operation();
};

struct DkimRemoval {
    std::string domain;
    std::uint64_t keys = 0;
    static const Shape& shape();
};

struct RemoveDkim {
    std::string domain;
    std::optional<std::string> selector;
    using Reply = DkimRemoval;
    static const Operation& operation();
};

}  // namespace poplar::api
