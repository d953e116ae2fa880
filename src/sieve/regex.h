#pragma once
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sieve/options.h"

namespace re2 {
class RE2;
}

namespace poplar::sieve {

/// A regular expression as RE2 has it: POSIX extended and more, without back references. It takes linear time and
/// bounded memory. The draft of Sieve's regex leaves the greediest match to `${0}`; so does this.
class Regex {
public:
    enum class Case : std::uint8_t { matters, ignored };
    /// Errors: a text for the one who wrote it.
    static std::expected<std::shared_ptr<const Regex>, std::string> compile(std::string_view pattern, Case letters,
                                                                            const Options& options);
    ~Regex();

    /// `groups`, if it is not null, gets the whole match, then what each group matched.
    bool search(std::string_view text, std::vector<std::string>* groups) const;
    /// About how many instructions a search costs for each 16 octets.
    std::uint64_t cost() const;

private:
    explicit Regex(std::unique_ptr<re2::RE2> compiled);
    std::unique_ptr<re2::RE2> compiled_;
};

}  // namespace poplar::sieve
