#pragma once
// A codec that hides nothing and changes everything: each part that it is given becomes a block with a length, flipped
// octets and padding. A store that works with it works with any codec.
#include <cstdlib>
#include <memory>
#include <string>

#include "mailstore/codec.h"

namespace poplar::test {

class FlipCodec final : public mailstore::Codec {
    static constexpr std::size_t kBlock = 60'000, kPadding = 3;

    static std::string flipped(std::string_view text, char mask) {
        std::string out(text);
        for (auto& c : out) c = static_cast<char>(c ^ mask);
        return out;
    }
    static void add_blocks(std::string_view plain, char mask, std::string& out) {
        while (!plain.empty()) {
            const auto part = plain.substr(0, kBlock);
            out.push_back(static_cast<char>(part.size() >> 8));
            out.push_back(static_cast<char>(part.size() & 0xff));
            out += flipped(part, mask);
            out.append(kPadding, '\xee');
            plain.remove_prefix(part.size());
        }
    }
    /// A key is "flip" and the mask.
    static Result<char> mask_of(std::string_view key) {
        if (key.size() != 5 || !key.starts_with("flip")) return fail(Errc::denied, "not a key of this codec");
        return key[4];
    }

    class Flip final : public mailstore::Encoding {
    public:
        explicit Flip(char mask) : mask_(mask) {}
        void encode(std::string_view plain, std::string& out) override { add_blocks(plain, mask_, out); }
        void finish(std::string&) override {}
        std::string key() const override { return std::string("flip") + mask_; }

    private:
        char mask_;
    };

    class Unflip final : public mailstore::Decoding {
    public:
        explicit Unflip(char mask) : mask_(mask) {}
        Result<> decode(std::string_view stored, std::string& out) override {
            pending_ += stored;
            for (;;) {
                if (pending_.size() < 2) return {};
                const auto size = static_cast<std::size_t>(static_cast<unsigned char>(pending_[0]) << 8 |
                                                           static_cast<unsigned char>(pending_[1]));
                if (pending_.size() < 2 + size + kPadding) return {};
                if (pending_.substr(2 + size, kPadding) != std::string(kPadding, '\xee'))
                    return fail(Errc::corrupt, "a block's padding is another");
                out += flipped(std::string_view(pending_).substr(2, size), mask_);
                pending_.erase(0, 2 + size + kPadding);
            }
        }
        Result<> finish(std::string&) override {
            if (!pending_.empty()) return fail(Errc::corrupt, "a block is cut off");
            return {};
        }

    private:
        char mask_;
        std::string pending_;
    };

public:
    std::unique_ptr<mailstore::Encoding> begin() const override { return std::make_unique<Flip>('\x5a'); }
    std::string encode_head(std::string_view head, std::string_view key) const override {
        std::string out;
        add_blocks(head, mask_of(key).value_or('\0'), out);
        return out;
    }
    Result<std::unique_ptr<mailstore::Decoding>> open(std::string_view key) const override {
        auto mask = mask_of(key);
        if (!mask) return pass_on(mask);
        return std::make_unique<Unflip>(*mask);
    }
};

/// The codec that the tests' stores have: with POPLAR_TEST_CODEC=flip in the environment this one, so that a whole test
/// program can be run under it; else none.
inline std::shared_ptr<const mailstore::Codec> codec_of_tests() {
    const char* name = std::getenv("POPLAR_TEST_CODEC");
    if (name == nullptr || std::string_view(name) != "flip") return nullptr;
    return std::make_shared<const FlipCodec>();
}

}  // namespace poplar::test
