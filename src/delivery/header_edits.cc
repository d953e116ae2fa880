#include "delivery/header_edits.h"

#include <algorithm>

#include "base/ascii.h"
#include "mail/downgrade.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"
#include "mail/wire_form.h"

namespace poplar::delivery {

namespace {

constexpr std::size_t kChunk = 64 * 1024;
constexpr std::size_t kMostAdded = 4u << 20;  // octets of a header that inspectors have added to the sender's

std::string subject_field(std::string_view subject) {
    std::string line(subject);
    for (char& c : line)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    mail::FieldWriter writer("Subject:");
    writer.unstructured(" " + line);
    return std::move(writer).finish();
}

}  // namespace

std::optional<std::string> edited(std::string_view header, const HeaderEdits& edits) {
    std::string out;
    bool changed = edits.subject.has_value(), skip = false;
    if (edits.subject) out += subject_field(*edits.subject);
    while (!header.empty()) {
        const auto end = header.find("\r\n");
        const auto line = header.substr(0, end == header.npos ? header.size() : end + 2);
        header.remove_prefix(line.size());
        // A line that continues a field goes the way of the field.
        if (!ascii::is_wsp(line.front())) {
            const auto name = ascii::to_lower(ascii::trim(mail::field_name(line)));
            skip = !name.empty() && (std::ranges::find(edits.removed, name) != edits.removed.end() ||
                                     (edits.subject && name == "subject"));
        }
        changed |= skip;
        if (!skip) out += line;
    }
    if (!changed) return std::nullopt;
    return out;
}

Task<Result<std::optional<EditedContent>>> edit_header(mailstore::MailStore& store, mailstore::Content content,
                                                       HeaderEdits edits, std::uint64_t header_limit,
                                                       std::size_t recipients) {
    if (edits.removed.empty() && !edits.subject && !edits.header && !edits.body) co_return std::nullopt;
    auto reader = store.read(content);
    if (!reader) co_return pass_on(reader);
    mail::WireDecoder decoder;
    mail::HeaderWalk walk;
    std::string plain;  // the header, and what came with its end
    const auto most = header_limit + kMostAdded;
    while (!walk.in_body() && plain.size() <= most) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        if (chunk->empty()) break;
        const auto before = plain.size();
        decoder.decode(*chunk, plain);
        walk.feed(std::string_view(plain).substr(before));
    }
    const auto header_octets = static_cast<std::size_t>(std::min<std::uint64_t>(walk.header_octets(), plain.size()));
    if (header_octets > most) co_return fail(Errc::io, "inspectors have made the header too large");
    const auto old = edits.header ? *edits.header : plain.substr(0, header_octets);
    auto header = edited(old, edits);
    if (!header && !edits.header && !edits.body) co_return std::nullopt;
    if (edits.body)
        plain = header.value_or(old);
    else
        plain.replace(0, header_octets, header.value_or(old));

    mail::Downgrader downgrader;
    auto writer = store.stage(content.octets);
    mail::WireEncoder encoder(mail::BareNewlines::normalize);
    std::string wire;
    const auto write = [&](std::string_view text) -> Task<Result<>> {
        for (auto left = text; !left.empty(); left.remove_prefix(std::min(kChunk, left.size()))) {
            wire.clear();
            encoder.encode(left.substr(0, kChunk), wire);
            downgrader.feed(wire);
            if (auto written = co_await writer->write(wire); !written) co_return written;
        }
        co_return Result<>();
    };
    for (bool more = true; more;) {
        if (auto written = co_await write(plain); !written) co_return pass_on(written);
        if (edits.body) {
            if (auto written = co_await write(*edits.body); !written) co_return pass_on(written);
            break;
        }
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return pass_on(chunk);
        more = !chunk->empty();
        plain.clear();
        if (more) decoder.decode(*chunk, plain);
    }
    wire.clear();
    encoder.finish(wire);
    downgrader.feed(wire);
    downgrader.finish();
    if (!wire.empty())
        if (auto written = co_await writer->write(wire); !written) co_return pass_on(written);
    auto staged = co_await writer->finish(encoder.sizes().octets, recipients);
    if (!staged) co_return pass_on(staged);
    co_return EditedContent{std::move(*staged), downgrader.needed(), downgrader.growth()};
}

}  // namespace poplar::delivery
