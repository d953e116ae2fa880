// One pass over the file, line by line, in memory that does not grow with a line: where each message lies, and what its
// header says about it.
#include "moving/mbox.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "base/ascii.h"
#include "base/digest.h"
#include "moving/header_digest.h"

namespace poplar::moving {

namespace {

constexpr std::size_t kLongestField = 4096;
constexpr std::size_t kPiece = 64 << 10;  // octets of a line that are looked at together

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

class Reader {
public:
    Reader(std::istream& in, std::filesystem::path path) : in_(in), path_(std::move(path)) {}

    Result<Listing> run() {
        std::string block(kPiece, '\0'), text;
        bool begins = true;
        while (in_) {
            in_.read(block.data(), static_cast<std::streamsize>(block.size()));
            auto more = std::string_view(block).substr(0, static_cast<std::size_t>(in_.gcount()));
            while (!more.empty()) {
                const auto end = more.find('\n');
                const auto octets = end == std::string_view::npos ? more.size() : end + 1;
                text += more.substr(0, octets);
                more.remove_prefix(octets);
                // A line of any length passes in pieces, and its first piece tells what it is.
                if (end == std::string_view::npos && text.size() < kPiece) continue;
                if (auto done = piece(text, begins); !done) return pass_on(done);
                begins = end != std::string_view::npos;
                text.clear();
            }
        }
        if (in_.bad()) return fail(Errc::io, fmt::format("{} can't be read to its end", path_.string()));
        if (!text.empty())
            if (auto done = piece(text, begins); !done) return pass_on(done);
        finish();
        settle_unique_ids(listing_.messages);
        return std::move(listing_);
    }

private:
    Result<> piece(std::string_view text, bool begins) {
        if (offset_ == 0 && !text.starts_with("From "))
            return fail(Errc::invalid, fmt::format("{} is no mbox: it does not begin with \"From \"", path_.string()));
        if (begins)
            line(text);
        else if (!passed_over_)
            add(text);
        offset_ += text.size();
        return {};
    }

    void line(std::string_view text) {
        const bool empty = text == "\n" || text == "\r\n";
        passed_over_ = true;
        if (after_empty_ && text.starts_with("From ")) {
            finish();
            begin();
            after_empty_ = false;
            return;
        }
        if (in_header_ && !empty && (text.starts_with(' ') || text.starts_with('\t'))) {
            if (own_field_) {
                if (field_.size() + text.size() <= kLongestField) field_ += text;
                after_empty_ = false;
                return;
            }
        } else if (in_header_) {
            end_field();
            in_header_ = !empty;
            if (in_header_) begin_field(text);
            if (own_field_) {
                after_empty_ = false;
                return;
            }
        }
        passed_over_ = false;
        add(text);
        after_empty_ = empty;
    }

    void begin() {
        message_ = SourceMessage();
        message_.mailbox = "INBOX";
        message_.file = path_;
        digest_.emplace();
        in_message_ = in_header_ = true;
        own_field_ = false;
        held_.clear();
    }

    void begin_field(std::string_view text) {
        const auto name = ascii::to_lower(trimmed(text.substr(0, text.find(':'))));
        own_field_ = text.contains(':') && is_server_field(name);
        if (own_field_) field_ = text.substr(0, kLongestField);
    }

    void end_field() {
        if (!own_field_) return;
        own_field_ = false;
        const std::string_view field = field_;
        const auto colon = field.find(':');
        const auto name = ascii::to_lower(trimmed(field.substr(0, colon)));
        const auto value = trimmed(field.substr(colon + 1));
        auto flag = [&](char letter, const char* called) {
            if (value.contains(letter)) message_.flags.emplace_back(called);
        };
        if (name == "x-uidl") message_.unique_id = value;
        if (name == "status") flag('R', "seen");
        if (name == "x-status") flag('A', "answered"), flag('F', "flagged"), flag('T', "draft"), flag('D', "deleted");
        if (name == "x-keywords")
            for (std::size_t at = 0; at < value.size();) {
                const auto begin = value.find_first_not_of(" \t\r\n", at);
                if (begin == std::string_view::npos) break;
                const auto end = std::min(value.find_first_of(" \t\r\n", begin), value.size());
                message_.flags.emplace_back(value.substr(begin, end - begin));
                at = end;
            }
    }

    // An empty line is held back until it is known whether the message goes on behind it.
    void add(std::string_view text) {
        if (!in_message_) return;
        flush();
        if (text == "\n" || text == "\r\n")
            held_ = text;
        else
            take(offset_, text);
    }
    void flush() {
        if (!held_.empty()) take(offset_ - held_.size(), held_);
        held_.clear();
    }
    void take(std::uint64_t at, std::string_view text) {
        digest_->add(text);
        auto& content = message_.content;
        if (!content.empty() && content.back().offset + content.back().size == at)
            content.back().size += text.size();
        else
            content.push_back({at, text.size()});
    }

    void finish() {
        if (!in_message_) return;
        end_field();
        held_.clear();  // the empty line at its end belongs to the file
        const auto digest = digest_->finish();
        // The same text twice is two messages.
        const auto nth = ++seen_[digest];
        message_.key = nth == 1 ? fmt::format("mbox:{}", digest) : fmt::format("mbox:{}:{}", digest, nth);
        message_.digest = digest;
        listing_.messages.push_back(std::move(message_));
        in_message_ = false;
    }

    std::istream& in_;
    const std::filesystem::path path_;
    Listing listing_;
    std::map<std::string, std::size_t> seen_;
    SourceMessage message_;
    std::optional<Digest> digest_;
    std::string field_, held_;
    std::uint64_t offset_ = 0;
    bool passed_over_ = false;  // the line that is read is no part of a message
    bool after_empty_ = true, in_message_ = false, in_header_ = false, own_field_ = false;
};

}  // namespace

Result<Listing> parse_mbox(std::istream& in, const std::filesystem::path& file) { return Reader(in, file).run(); }

Result<Listing> list_mbox(const std::filesystem::path& path) {
    // Whoever names the file may name a link.
    std::error_code failed;
    auto file = std::filesystem::canonical(path, failed);
    if (failed) file = path;
    std::ifstream in(file, std::ios::binary);
    if (!in) return fail(Errc::not_found, fmt::format("{} can't be opened", file.string()));
    return parse_mbox(in, file);
}

}  // namespace poplar::moving
