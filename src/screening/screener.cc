#include "screening/screener.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "base/one_shot.h"
#include "mail/address.h"
#include "screening/signing.h"

namespace poplar::screening {

namespace {

/// How many labels two domains have in common at their ends.
std::size_t common_labels(std::string_view one, std::string_view other) {
    std::size_t common = 0;
    for (std::size_t i = 1; i <= std::min(one.size(), other.size()); ++i) {
        if (one[one.size() - i] != other[other.size() - i]) return common;
        const auto ends = [&](std::string_view name) { return i == name.size() || name[name.size() - i - 1] == '.'; };
        if (one[one.size() - i] != '.' && ends(one) && ends(other)) ++common;
    }
    return common;
}

/// Domains that DMARC and SPF compare with: in their one spelling.
std::string canonical(std::string_view domain) {
    auto known = mail::canonical_domain(domain);
    return known ? *known : ascii::to_lower(domain);
}

bool is_public(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; }

std::string quoted(std::string_view text) {
    std::string out;
    for (const char c : text) out += is_public(c) ? c : '?';
    return out;
}

/// A field's value in lower case, with a space in place of each comment and quoted string.
std::string plain_of(std::string_view value) {
    std::string plain;
    std::size_t depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        if (c == '\\') {
            ++i;
        } else if (quoted) {
            quoted = c != '"';
        } else if (c == '(') {
            if (depth++ == 0) plain += ' ';
        } else if (depth > 0) {
            depth -= c == ')';
        } else if (c == '"') {
            quoted = true;
            plain += '"';
        } else {
            plain += ascii::lower(c);
        }
    }
    return plain;
}

/// Whether a list of results, which its author is believed, says that DMARC passed there.
bool says_dmarc_passed(std::string_view results) {
    constexpr std::string_view kWanted = "dmarc=pass", kSpace = " \t\r\n";
    const auto plain = plain_of(results);
    for (auto at = plain.find(kWanted); at != plain.npos; at = plain.find(kWanted, at + 1)) {
        const auto behind = at + kWanted.size();
        if (behind < plain.size() && plain[behind] != ';' && kSpace.find(plain[behind]) == kSpace.npos) continue;
        const auto before = at == 0 ? plain.npos : plain.find_last_not_of(kSpace, at - 1);
        if (before != plain.npos && plain[before] == ';') return true;
    }
    return false;
}

}  // namespace

Screener::Screener(Executor executor, dns::Lookup& dns, const Clock& clock, std::string hostname, Options options)
    : executor_(executor), dns_(dns), clock_(clock), hostname_(std::move(hostname)), options_(std::move(options)) {
    const auto read = [](const std::vector<std::string>& texts, std::vector<AddressList>& lists) {
        for (const auto& text : texts)
            if (auto list = parse_address_list_zone(text)) lists.push_back(std::move(*list));  // settings refuse others
    };
    read(options_.dnsbl, refuse_);
    read(options_.dnswl, allow_);
}

namespace {

/// Waits for an answer until one is there or the time is over.
struct Waiting {
    std::optional<OneShot<dns::Answer>::Sender> sender;
    SteadyTimer timer;

    void send(Result<dns::Answer> answer) {
        if (auto first = std::exchange(sender, std::nullopt)) first->send(std::move(answer));
    }
};

Task<> ask_there(dns::Lookup& dns, std::string name, dns::Type type, OneShot<dns::Answer>::Sender sender,
                 SteadyTime end) {
    auto executor = co_await asio::this_coro::executor;
    const auto waiting = std::make_shared<Waiting>(std::move(sender), SteadyTimer(executor, end));
    waiting->timer.async_wait([waiting](boost::system::error_code cancelled) {
        if (!cancelled) waiting->send(fail(Errc::timed_out, "the checks took too long"));
    });
    auto answer = co_await dns.ask(std::move(name), type);
    waiting->timer.cancel();
    waiting->send(std::move(answer));
}

}  // namespace

Task<Result<dns::Answer>> Screener::ask(std::string name, dns::Type type, SteadyTime end) const {
    OneShot<dns::Answer> answer;
    asio::co_spawn(executor_, ask_there(dns_, std::move(name), type, answer.sender(), end), asio::detached);
    co_return co_await answer.receive();
}

namespace {

/// Asks until a time.
class AskerUntil final : public dns::Lookup {
public:
    AskerUntil(const Screener& screener, SteadyTime end) : screener_(screener), end_(end) {}
    Task<Result<dns::Answer>> ask(std::string name, dns::Type type) override {
        if (SteadyClock::now() >= end_) co_return fail(Errc::timed_out, "the lists took too long");
        co_return co_await screener_.ask(std::move(name), type, end_);
    }

private:
    const Screener& screener_;
    const SteadyTime end_;
};

}  // namespace

Task<Listing> Screener::find(std::string address, std::vector<AddressList> lists, Texts texts, SteadyTime end) const {
    const auto parsed = IpAddress::parse(address);
    if (!parsed || lists.empty()) co_return Listing();
    AskerUntil asker(*this, end);
    co_return co_await find_listing(asker, *parsed, std::move(lists), texts);
}

Task<Listing> Screener::listing_of(std::string address) const {
    const auto end = SteadyClock::now() + options_.list_timeout;
    auto listing = co_await find(address, refuse_, Texts::yes, end);
    if (listing.zone.empty() || allow_.empty()) co_return listing;
    const auto allowed = co_await find(address, allow_, Texts::no, SteadyClock::now() + options_.list_timeout);
    if (!allowed.zone.empty()) co_return Listing();
    co_return listing;
}

Task<bool> Screener::is_allowed(std::string address) const {
    auto listing = co_await find(std::move(address), allow_, Texts::no, SteadyClock::now() + options_.list_timeout);
    co_return !listing.zone.empty();
}

Examination::Examination(const Screener& screener, Client client, std::string reverse_path)
    : screener_(screener), client_(std::move(client)), reverse_path_(std::move(reverse_path)) {}

void Examination::on_header(std::string text) {
    header_.emplace(std::move(text));
    auto forms = body_forms(*header_, screener_.options().signatures);
    const bool seals = screener_.options().arc;  // our own link is in the relaxed form
    if (seals && std::ranges::find(forms, Canonical::relaxed) == forms.end()) forms.push_back(Canonical::relaxed);
    for (const auto form : forms) hashes_.emplace_back(form, BodyHash(form));
}

void Examination::on_body(std::string_view plain) {
    for (auto& [form, hash] : hashes_) hash.feed(plain);
}

/// Asks for one message: once its time is over nothing is asked any more, and all is as if the DNS were silent. Each
/// check has some of the time for itself, because strangers say whom the others ask.
class Examination::Asker final : public dns::Lookup {
public:
    explicit Asker(const Screener& screener) : screener_(screener) {}
    /// From now on questions end after so many sixths of the time.
    void go_on_until(int sixths) { end_ = begin_ + screener_.options().timeout * sixths / 6; }
    Task<Result<dns::Answer>> ask(std::string name, dns::Type type) override {
        if (SteadyClock::now() >= end_) co_return fail(Errc::timed_out, "the checks took too long");
        co_return co_await screener_.ask(std::move(name), type, end_);
    }

private:
    const Screener& screener_;
    const SteadyTime begin_ = SteadyClock::now();
    SteadyTime end_ = begin_;
};

Task<SpfAnswer> Examination::ask_spf(Asker& asker, Judgement& judgement) {
    SpfAnswer answer;
    const auto address = IpAddress::parse(client_.address);
    if (!address) co_return answer;
    const auto at = reverse_path_.rfind('@');
    SpfAsked asked{*address, "postmaster", canonical(client_.helo), canonical(client_.helo)};
    if (at != std::string::npos) {
        asked.local = reverse_path_.substr(0, at);
        asked.domain = canonical(std::string_view(reverse_path_).substr(at + 1));
    }
    answer = co_await check_spf(asker, asked);
    if (!screener_.options().spf) co_return answer;  // for DMARC alone
    MethodResult result{"spf", answer.outcome, "", answer.reason};
    result.properties.emplace_back(at == std::string::npos ? "smtp.helo" : "smtp.mailfrom",
                                   at == std::string::npos ? client_.helo : reverse_path_);
    judgement.methods.push_back(std::move(result));
    judgement.received_spf = fmt::format(
        "Received-SPF: {} ({}: {})\r\n\tclient-ip={};\r\n\tenvelope-from=\"{}\";\r\n\thelo=\"{}\"; receiver={};\r\n\t"
        "identity={}\r\n",
        name_of(answer.outcome), screener_.hostname(),
        answer.reason.empty() ? "checked for " + quoted(asked.domain) : quoted(answer.reason), client_.address,
        quoted(reverse_path_), quoted(client_.helo), screener_.hostname(),
        at == std::string::npos ? "helo" : "mailfrom");  // RFC 7208 s9.1
    co_return answer;
}

/// Those that may count for the author's domain come first: others' servers may take all the time.
Task<std::vector<DkimAnswer>> Examination::ask_dkim(Asker& asker, const std::string& author, Judgement& judgement) {
    struct Place {
        const Header::Field* field;
        std::size_t number, common;
    };
    std::vector<Place> order;
    for (const auto at : header_->named("dkim-signature")) {
        if (order.size() == screener_.options().signatures) break;
        Signature signature;
        const auto& field = header_->fields()[at];
        (void)Signature::parse(field.value(), Signature::Kind::dkim, signature);  // what is wrong is told below
        order.push_back({&field, order.size(), common_labels(signature.domain, author)});
    }
    std::ranges::sort(order, [](const Place& a, const Place& b) {
        return a.common != b.common ? a.common > b.common : a.number < b.number;
    });
    std::vector<DkimAnswer> answers(order.size());
    for (const auto& place : order)
        answers[place.number] = co_await verify_signature(asker, *header_, *place.field, Signature::Kind::dkim, bodies_,
                                                          screener_.clock().now());
    if (!screener_.options().dkim) co_return answers;
    for (const auto& one : answers) {
        MethodResult result{"dkim", one.outcome, "", one.reason};
        if (one.bits > 0) result.comment = fmt::format("{} bits{}", one.bits, one.testing ? ", testing" : "");
        result.properties = {{"header.d", one.domain},
                             {"header.i", one.identity},
                             {"header.s", one.selector},
                             {"header.a", one.algorithm},
                             {"header.b", one.shown}};
        judgement.methods.push_back(std::move(result));
    }
    if (answers.empty()) judgement.methods.push_back({"dkim", Outcome::none, "", ""});
    co_return answers;
}

// RFC 7489 s6.7; RFC 8617 s7.2: a forwarder that is trusted may have broken what was whole when it came.
void Examination::add_dmarc(Judgement& judgement, const DmarcAnswer& answer, const std::string& author) const {
    const auto& options = screener_.options();
    MethodResult result{"dmarc", answer.outcome, "", answer.reason};
    result.properties.emplace_back("header.from", author);
    const bool trusted =
        judgement.arc.outcome == Outcome::pass &&
        std::ranges::find(options.trusted_sealers, judgement.arc.sealer) != options.trusted_sealers.end() &&
        says_dmarc_passed(judgement.arc.results);
    using Action = Judgement::Action;
    if (options.dmarc == Options::Dmarc::enforce && answer.wanted != DmarcPolicy::none && !trusted) {
        judgement.action = answer.wanted == DmarcPolicy::reject ? Action::reject : Action::quarantine;
        judgement.reason =
            fmt::format("{} asks to {} mail from elsewhere in its name (DMARC)", author, name_of(answer.wanted));
    }
    if (answer.outcome == Outcome::pass || answer.outcome == Outcome::fail)
        result.comment =
            fmt::format("p={}{}", name_of(answer.policy),
                        trusted && answer.wanted != DmarcPolicy::none ? ", passed at a trusted forwarder" : "");
    judgement.methods.push_back(std::move(result));
}

Task<Judgement> Examination::judge() {
    Judgement judgement;
    const auto& options = screener_.options();
    for (auto& [form, hash] : hashes_) {
        auto finished = hash.finish();
        bodies_.emplace(form, HashedBody{std::move(finished), hash.octets()});
    }
    const bool dmarc = options.dmarc != Options::Dmarc::off;
    const bool senders = dmarc || options.greylist.count() > 0;  // need to know who it is from
    SpfAnswer spf;
    std::vector<DkimAnswer> dkim;
    const auto author = dmarc ? author_domain(*header_) : std::string();
    Asker asker(screener_);
    asker.go_on_until(2);
    if (options.spf || senders) spf = co_await ask_spf(asker, judgement);
    asker.go_on_until(4);
    if (options.dkim || senders) dkim = co_await ask_dkim(asker, author, judgement);
    judgement.authenticated = spf.outcome == Outcome::pass ||
                              std::ranges::any_of(dkim, [](const auto& one) { return one.outcome == Outcome::pass; });
    asker.go_on_until(5);
    if (options.arc) {
        judgement.arc = co_await verify_arc(asker, *header_, bodies_, screener_.clock().now());
        const auto& arc = judgement.arc;
        if (arc.outcome != Outcome::none)
            judgement.methods.push_back(
                {"arc", arc.outcome, fmt::format("i={}", arc.instances), arc.reason, {{"header.d", arc.sealer}}});
    }
    asker.go_on_until(6);
    if (dmarc && author.empty()) {
        // Several authors are a way to show one domain and have another one checked.
        judgement.methods.push_back({"dmarc", Outcome::permerror, "", "From names no single domain"});
        if (options.dmarc == Options::Dmarc::enforce) {
            judgement.action = Judgement::Action::quarantine;
            judgement.reason = "From names no single domain";
        }
    } else if (dmarc) {
        DmarcAsked asked{author, "", {}};
        const auto at = reverse_path_.rfind('@');
        const auto sender =
            canonical(at == std::string::npos ? client_.helo : std::string_view(reverse_path_).substr(at + 1));
        if (spf.outcome == Outcome::pass) asked.spf_domain = sender;
        if (spf.outcome == Outcome::temperror) asked.undecided_spf = sender;
        for (const auto& one : dkim) {
            if (one.outcome == Outcome::pass) asked.dkim_domains.push_back(one.domain);
            if (one.outcome == Outcome::temperror) asked.undecided_dkim.push_back(one.domain);
        }
        const auto answer = co_await check_dmarc(asker, std::move(asked));
        add_dmarc(judgement, answer, author);
    }
    if (const auto address = IpAddress::parse(client_.address)) {
        if (options.iprev) judgement.methods.push_back(co_await check_iprev(asker, *address));
        if (options.helo) judgement.methods.push_back(co_await check_helo(asker, *address, client_.helo));
    }
    judgement.results = format_results(screener_.hostname(), judgement.methods);
    co_return judgement;
}

std::string Examination::seal(const Judgement& judgement, const Signer& signer) const {
    const auto body = bodies_.find(Canonical::relaxed);
    if (!screener_.options().arc || body == bodies_.end()) return {};
    return seal_arc(*header_, judgement.arc, signer, judgement.results, body->second.hash, screener_.clock().now());
}

}  // namespace poplar::screening
