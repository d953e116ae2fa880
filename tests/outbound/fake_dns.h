#pragma once
// The DNS as a table.
#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>
#include <map>
#include <stdexcept>
#include <string>

#include "dns/resolver.h"

namespace poplar::test {

class FakeDns final : public dns::Lookup {
public:
    void add_mx(const std::string& domain, std::uint16_t preference, const std::string& host) {
        const std::string number{static_cast<char>(preference >> 8), static_cast<char>(preference)};
        add(domain, dns::Type::mx, number + wire_name(host));
    }
    void add_ptr(const std::string& name, const std::string& host) { add(name, dns::Type::ptr, wire_name(host)); }
    void add_txt(const std::string& name, const std::string& text) {
        constexpr std::size_t kLongest = 255;
        std::string data;
        for (std::size_t at = 0; at == 0 || at < text.size(); at += kLongest) {
            const auto part = text.substr(at, kLongest);
            data += static_cast<char>(part.size());
            data += part;
        }
        add(name, dns::Type::txt, data);
    }
    void add_address(const std::string& host, const std::string& address) {
        const auto parsed = asio::ip::make_address(address);
        std::string data;
        if (parsed.is_v4())
            for (auto octet : parsed.to_v4().to_bytes()) data += static_cast<char>(octet);
        else
            for (auto octet : parsed.to_v6().to_bytes()) data += static_cast<char>(octet);
        add(host, parsed.is_v4() ? dns::Type::a : dns::Type::aaaa, data);
    }
    void add_name(const std::string& name) { names_[name]; }
    void fail_for(const std::string& name, Errc code) { failing_[name] = code; }

    void throw_once() { throws_ = true; }

    Task<Result<dns::Answer>> ask(std::string name, dns::Type type) override {
        ++asked;
        if (std::exchange(throws_, false)) throw std::runtime_error("a mistake");
        if (auto failure = failing_.find(name); failure != failing_.end()) co_return fail(failure->second, "no answer");
        dns::Answer answer;
        auto found = names_.find(name);
        answer.exists = found != names_.end();
        if (answer.exists) answer.records = found->second[type];
        co_return answer;
    }

    int asked = 0;

private:
    static std::string wire_name(const std::string& name) {
        std::string data;
        for (std::size_t at = 0; at < name.size();) {
            const auto end = std::min(name.find('.', at), name.size());
            data += static_cast<char>(end - at);
            data += name.substr(at, end - at);
            at = end + 1;
        }
        return data + '\0';
    }
    void add(const std::string& name, dns::Type type, std::string data) {
        names_[name][type].push_back(std::move(data));
    }
    std::map<std::string, std::map<dns::Type, std::vector<std::string>>> names_;
    std::map<std::string, Errc> failing_;
    bool throws_ = false;
};

}  // namespace poplar::test
