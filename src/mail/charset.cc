// Only charsets seen in mail are looked up: the C library's iconv has had crashes in the rare ones.
#include "mail/charset.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/ascii.h"

namespace poplar::mail {

std::string iconv_name(std::string_view charset) {
    std::string name(charset.substr(0, 40));
    std::ranges::transform(name, name.begin(), ascii::lower);
    if (!std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f && c != ':' && c != '/' && c != ','; }))
        return {};
    struct Alias {
        std::string_view name, iconv;
    };
    for (auto [alias, iconv] : {Alias{"us-ascii", "utf-8"},
                                {"ascii", "utf-8"},
                                {"utf8", "utf-8"},
                                {"utf-8", "utf-8"},
                                {"gb2312", "gb18030"},
                                {"gbk", "gb18030"},
                                {"gb18030", "gb18030"},
                                {"ks_c_5601-1987", "cp949"},
                                {"euc-kr", "cp949"},
                                {"x-sjis", "cp932"},
                                {"shift_jis", "cp932"},
                                {"shift-jis", "cp932"},
                                {"iso-8859-8-i", "iso-8859-8"},
                                {"iso-2022-jp", "iso-2022-jp"},
                                {"iso-2022-kr", "iso-2022-kr"},
                                {"euc-jp", "euc-jp"},
                                {"big5", "big5-hkscs"},
                                {"big5-hkscs", "big5-hkscs"},
                                {"euc-tw", "euc-tw"},
                                {"tis-620", "tis-620"},
                                {"macintosh", "macintosh"},
                                {"viscii", "viscii"}})
        if (name == alias) return std::string(iconv);
    for (std::string_view family : {"iso-8859-", "windows-125", "cp125", "koi8-", "cp437", "cp85", "cp86"})
        if (name.starts_with(family)) return name;
    return {};
}

std::optional<std::string> from_iconv(const std::string& charset, std::string bytes) {
    if (charset == "utf-8") return bytes;
    const iconv_t converter = iconv_open("UTF-8", charset.c_str());
    if (converter == reinterpret_cast<iconv_t>(-1)) return std::nullopt;
    std::string out;
    std::array<char, 256> buffer;
    char* in = bytes.data();
    std::size_t in_left = bytes.size();
    for (bool flushing = false;;) {
        char* to = buffer.data();
        std::size_t to_left = buffer.size();
        const std::size_t status = flushing ? iconv(converter, nullptr, nullptr, &to, &to_left)
                                            : iconv(converter, &in, &in_left, &to, &to_left);
        const int error = status == static_cast<std::size_t>(-1) ? errno : 0;
        out.append(buffer.data(), to);
        if (error == E2BIG) continue;
        if (flushing) break;
        if (error != 0) out += "\uFFFD";
        if (error == EILSEQ && in_left > 0) {
            ++in;
            --in_left;
        } else {
            flushing = true;
        }
    }
    iconv_close(converter);
    return out;
}

std::optional<std::string> to_utf8(std::string_view charset, std::string bytes) {
    const auto name = iconv_name(charset);
    if (name.empty()) return std::nullopt;
    return from_iconv(name, std::move(bytes));
}

}  // namespace poplar::mail
