// Messages of any octets: the walk tells each octet once and in order, however they come; parts begin and end as
// brackets do, each with one header, within the bounds.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "fuzz/check.h"
#include "mail/mime_walk.h"

namespace poplar::mail {
namespace {

constexpr MimeWalk::Bounds kBounds{.levels = 5, .parts = 20};

class Witness final : public MimeListener {
public:
    explicit Witness(std::uint8_t declines) : declines_(declines) {}

    void part_begins(std::uint64_t offset, std::size_t level) override {
        CHECK(offset == told.size() && level == open_.size() && level <= kBounds.levels);
        CHECK(open_.empty() || open_.back() != kNoHeader);
        open_.push_back(kNoHeader);
        CHECK(++parts_ <= kBounds.parts);
        events += fmt::format("begin {}\n", offset);
    }
    void field(std::string_view field) override {
        CHECK(!field.empty() && field.size() <= MimeWalk::kFieldLimit);
        events += fmt::format("field {}\n", field.size());
        told += field;
    }
    void long_field(std::string_view octets) override { told += octets; }
    bool header_ends(const ContentType& type, std::uint64_t offset) override {
        CHECK(offset == told.size() && open_.back() == kNoHeader);
        open_.back() = offset;
        events += fmt::format("header {} {}\n", offset, static_cast<int>(type.kind));
        return (declines_ >> static_cast<int>(type.kind) & 1) == 0;
    }
    void body(std::string_view octets) override {
        CHECK(!octets.empty() && open_.back() != kNoHeader);
        told += octets;
    }
    void frame(std::string_view octets) override {
        CHECK(octets.ends_with('\n') || octets.starts_with("--"));
        told += octets;
    }
    void part_ends(std::uint64_t offset) override {
        CHECK(open_.back() != kNoHeader && offset >= open_.back() && offset <= told.size());
        CHECK(offset == told.size() || std::string_view(told).substr(offset) == "\r\n" ||
              std::string_view(told).substr(offset) == "\n");
        open_.pop_back();
        events += fmt::format("end {}\n", offset);
    }
    void finished() const { CHECK(open_.empty() && parts_ > 0); }

    std::string told, events;

private:
    static constexpr std::uint64_t kNoHeader = ~0ull;
    const std::uint8_t declines_;
    std::vector<std::uint64_t> open_;  // where their bodies begin
    std::size_t parts_ = 0;
};

Witness walk(const std::vector<std::string_view>& pieces, std::uint8_t declines) {
    Witness witness(declines);
    MimeWalk walk(witness, kBounds);
    for (auto piece : pieces) {
        const std::string gone(piece);  // once the next one comes
        walk.feed(gone);
    }
    walk.finish();
    witness.finished();
    return witness;
}

void check(std::string_view in, std::uint32_t seed, std::uint8_t declines) {
    const auto whole = walk({in}, declines), pieces = walk(fuzz::cut(in, seed), declines);
    CHECK(whole.told == in && pieces.told == in);
    CHECK(whole.events == pieces.events || in.size() > MimeWalk::kFieldLimit);
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    const auto declines = input.number();
    poplar::mail::check(input.rest(), seed, declines);
    return 0;
}
