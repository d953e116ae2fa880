#include "quota/notice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/ascii.h"
#include "base/units.h"
#include "mail/field_writer.h"
#include "mail/trace.h"
#include "quota/notice_table.h"

namespace poplar::quota {

namespace {

std::size_t index_of(std::string_view tag) {
    const auto found = std::ranges::find_if(kLanguages, [&](auto known) { return ascii::same(known, tag); });
    return static_cast<std::size_t>(found - kLanguages.begin());
}

std::string body_of(const Notice& notice, std::size_t language) {
    const auto& [account, domain, percent, used, bounds] = notice.reached;
    auto text = [&](const Translations& row, const auto&... arguments) {
        return fmt::format(fmt::runtime(row[language]), arguments...);
    };
    std::string body = text(kMailboxOf, notice.address) + "\n\n";
    if (bounds.octets != 0) body += "    " + text(kOctets, human_size(used.octets), human_size(bounds.octets)) + "\n";
    if (bounds.messages != 0) body += "    " + text(kMessages, used.messages, bounds.messages) + "\n";
    const auto& what_happens = percent < 100 ? kBefore : notice.full_reply == FullReply::reject ? kRefused : kWaits;
    return body + "\n" + text(what_happens) + "\n\n" + text(kAdvice) + "\n";
}

}  // namespace

std::optional<std::string> find_language(std::string_view typed) {
    const auto tag = typed.substr(0, typed.find('-'));
    const auto index = index_of(tag);
    if (index == kLanguages.size()) return std::nullopt;
    return std::string(kLanguages[index]);
}

std::string languages() { return fmt::format("{}", fmt::join(kLanguages, ", ")); }

std::string compose(const Notice& notice) {
    auto language = index_of(notice.language);
    if (language == kLanguages.size()) language = 0;
    const auto percent = notice.reached.percent;
    mail::FieldWriter subject("Subject:");
    subject.unstructured(" " + (percent < 100 ? fmt::format(fmt::runtime(kFillsUp[language]), percent)
                                              : std::string(kIsFull[language])));
    auto subject_field = std::move(subject).finish();
    std::erase(subject_field, '\r');
    return fmt::format(
        "Date: {}\n"
        "From: Mail server <postmaster@{}>\n"
        "To: <{}>\n"
        "Message-ID: <{}@{}>\n"
        "{}"
        "Auto-Submitted: auto-generated\n"
        "Content-Language: {}\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 8bit\n"
        "\n"
        "{}",
        mail::format_date(notice.time), notice.address.substr(notice.address.rfind('@') + 1), notice.address, notice.id,
        notice.hostname, subject_field, kLanguages[language], body_of(notice, language));
}

}  // namespace poplar::quota
