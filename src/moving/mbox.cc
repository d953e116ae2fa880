// One pass over the file, line by line: where each message lies, and what its header says about it.
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

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

class Reader {
public:
    explicit Reader(const std::filesystem::path& path) : path_(path) {}

    Result<Listing> run() {
        std::ifstream in(path_, std::ios::binary);
        if (!in) return fail(Errc::not_found, fmt::format("{} can't be opened", path_.string()));
        std::string text;
        while (std::getline(in, text)) {
            const bool ended = !in.eof();
            if (ended) text += '\n';
            if (offset_ == 0 && !text.starts_with("From "))
                return fail(Errc::invalid,
                            fmt::format("{} is no mbox: it does not begin with \"From \"", path_.string()));
            line(text);
            offset_ += text.size();
        }
        if (in.bad()) return fail(Errc::io, fmt::format("{} can't be read to its end", path_.string()));
        finish();
        settle_unique_ids(listing_.messages);
        return std::move(listing_);
    }

private:
    void line(std::string_view text) {
        const bool empty = text == "\n" || text == "\r\n";
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

    const std::filesystem::path path_;
    Listing listing_;
    std::map<std::string, std::size_t> seen_;
    SourceMessage message_;
    std::optional<Digest> digest_;
    std::string field_, held_;
    std::uint64_t offset_ = 0;
    bool after_empty_ = true, in_message_ = false, in_header_ = false, own_field_ = false;
};

}  // namespace

Result<Listing> list_mbox(const std::filesystem::path& path) {
    // Whoever names the file may name a link.
    std::error_code failed;
    const auto file = std::filesystem::canonical(path, failed);
    return Reader(failed ? path : file).run();
}

}  // namespace poplar::moving
