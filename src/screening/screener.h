#pragma once
// All checks of one message from a stranger, and what they come to.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/steady.h"
#include "dns/resolver.h"
#include "screening/arc.h"
#include "screening/authentication_results.h"
#include "screening/client_checks.h"
#include "screening/dkim.h"
#include "screening/dmarc.h"
#include "screening/header.h"
#include "screening/spf.h"

namespace poplar::screening {

struct Options {
    enum class Dmarc : std::uint8_t { off, mark, enforce };
    bool spf = false, dkim = false, arc = false;
    Dmarc dmarc = Dmarc::off;
    std::uint32_t signatures = 5;                                  ///< of a message that are looked at
    std::vector<std::string> trusted_sealers = {};                 ///< domains whose ARC results are believed
    std::chrono::milliseconds timeout = std::chrono::seconds(20);  ///< for all questions of one message
    bool iprev = false, helo = false;                              ///< the client's names
    std::vector<std::string> dnsbl = {}, dnswl = {};               ///< lists of addresses, as AddressList is written
    std::chrono::milliseconds list_timeout = std::chrono::seconds(5);  ///< for all lists together
    /// How long unknown senders without SPF and DKIM have to wait before they come again; 0: they need not.
    std::chrono::seconds greylist{0};
    bool any() const { return spf || dkim || arc || dmarc != Dmarc::off || iprev || helo || greylist.count() > 0; }
};

/// The sending host.
struct Client {
    std::string address;  ///< as in net::Peer
    std::string helo;
};

/// The checks' results for a message, and the action that follows.
struct Judgement {
    enum class Action : std::uint8_t { keep, quarantine, reject };
    Action action = Action::keep;
    std::string reason;        ///< of anything but `keep`: for the client and the log
    std::string results;       ///< as format_results() makes them
    std::string received_spf;  ///< a whole field; "": SPF is off
    ArcAnswer arc;
    std::vector<MethodResult> methods;
    bool authenticated = false;  ///< SPF or a signature has passed
};

class Screener;

/// One message, as it passes in wire form; it is told all octets that came. The header is kept until the end.
class Examination final : public MessageReader {
public:
    Examination(const Screener& screener, Client client, std::string reverse_path);

    /// After finish(). Failures of the DNS are results like others: they refuse nothing.
    Task<Judgement> judge();
    /// Our link of the chain, for a copy that leaves; "": there is none.
    std::string seal(const Judgement& judgement, const Signer& signer) const;

protected:
    void on_header(std::string text) override;
    void on_body(std::string_view plain) override;

private:
    class Asker;
    Task<SpfAnswer> ask_spf(Asker& asker, Judgement& judgement);
    Task<std::vector<DkimAnswer>> ask_dkim(Asker& asker, const std::string& author, Judgement& judgement);
    void add_dmarc(Judgement& judgement, const DmarcAnswer& answer, const std::string& author) const;

    const Screener& screener_;
    const Client client_;
    const std::string reverse_path_;
    std::optional<Header> header_;
    std::vector<std::pair<Canonical, BodyHash>> hashes_;
    HashedBodies bodies_;
};

/// May be used from any thread.
class Screener {
public:
    /// `executor`: where `dns` is used. `hostname`: ours, in the results. All outlive it.
    Screener(Executor executor, dns::Lookup& dns, const Clock& clock, std::string hostname, Options options);

    const Options& options() const { return options_; }
    const std::string& hostname() const { return hostname_; }
    const Clock& clock() const { return clock_; }
    /// One question, asked on the thread of the resolver; an answer that is not there at `end` is a failure.
    Task<Result<dns::Answer>> ask(std::string name, dns::Type type, SteadyTime end) const;
    /// The list of `dnsbl` that has a client's address, unless one of `dnswl` has it. Where nobody can tell in time, it
    /// is on none.
    Task<Listing> listing_of(std::string address) const;
    /// Whether a list of `dnswl` has it.
    Task<bool> is_allowed(std::string address) const;

private:
    const Executor executor_;
    dns::Lookup& dns_;
    const Clock& clock_;
    Task<Listing> find(std::string address, std::vector<AddressList> lists, Texts texts, SteadyTime end) const;

    const std::string hostname_;
    const Options options_;
    std::vector<AddressList> refuse_, allow_;
};

}  // namespace poplar::screening
