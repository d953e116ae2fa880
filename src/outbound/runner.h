#pragma once
// Brings out what the queue holds: looks for what is due, finds each destination, tries, and writes down what came of
// it.
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/steady.h"
#include "delivery/delivery.h"
#include "dns/resolver.h"
#include "outbound/connect.h"
#include "outbound/options.h"
#include "outbound/sts.h"
#include "queue/queue.h"

namespace poplar::outbound {

/// A part's mark among those that are being tried, for as long as it lives. Movable, not copyable.
class Trial {
public:
    Trial() = default;
    Trial(class Runner& runner, queue::PartId part) : runner_(&runner), part_(std::move(part)) {}
    Trial(Trial&& other) noexcept : runner_(std::exchange(other.runner_, nullptr)), part_(std::move(other.part_)) {}
    Trial& operator=(Trial&& other) noexcept {
        std::swap(runner_, other.runner_);
        std::swap(part_, other.part_);
        return *this;
    }
    ~Trial();

private:
    Runner* runner_ = nullptr;
    queue::PartId part_;
};

/// A part of a message that is being tried.
struct Job {
    Trial trial;  // in front of the claim: it ends behind it, when somebody else may have the part
    queue::Claim claim;
    queue::Message message;
    queue::Part part;
    bool again = false;  ///< a connection that was used before broke before it got any reply
};

/// The outcome of an attempt for one recipient.
struct Reached {
    enum class How { delivered, failed, later };
    How how = How::later;
    std::string reply, status, host;
    bool relayed = false;  ///< the next server was told which reports the sender wants
    std::string tls = {};  ///< "TLSv1.3"; "": in the clear, or nothing was sent
};

struct Services {
    queue::Queue& queue;
    delivery::Delivery& delivery;
    dns::Lookup& dns;
    std::shared_ptr<const net::ClientTls> tls;
    directory::ServerRecords* records = nullptr;  ///< where MTA-STS policies are kept; null: there are none
};

/// All its work is done on one executor's thread, where it is to be used; but see wake(). It has to outlive its work:
/// stop(), then run the executor until idle().
class Runner {
public:
    Runner(Executor executor, const Services& services, const Options& options);
    ~Runner();
    Runner(const Runner&) = delete;

    void start();
    /// No attempt begins any more. Those under way go on.
    void stop();
    /// Cuts the connections that are still open.
    void cut();
    bool idle() const { return working_ == 0; }

    /// A part has this time now. May be called from any thread.
    void wake(queue::Due due);

private:
    friend class Trial;
    struct Site;
    struct Domain;
    using Upcoming = std::multimap<Timestamp, queue::PartId>;

    void spawn(Task<> task);
    Task<> watch();
    Task<> look();
    Task<> scan();
    void note(queue::Due due);
    void leave_to_queue();
    void begin_due();
    void forget(const queue::PartId& part);
    Task<> attempt(Job job);
    Task<bool> load(Job& job);
    void find_way(Job job);
    /// Mail to our own domains that a filter sent: it goes to its accounts, and no host is asked.
    Task<Result<bool>> is_ours(const queue::Part& part);
    Task<> deliver_here(Job job);
    Task<> look_up(std::shared_ptr<Domain> domain);
    Task<> find_policy(Domain& domain);
    void bring(const Destination& destination, Job job);
    void open_more(const std::shared_ptr<Site>& site);
    Task<> serve(std::shared_ptr<Site> site, bool unproven);
    Task<> use_connection(std::shared_ptr<Site> site, std::unique_ptr<Connected>& connected);
    Task<bool> connect(std::shared_ptr<Site> site, std::unique_ptr<Connected>& connected);
    struct Content;
    Task<Content> content_for(const Job& job, const Connected& connected, Content content);
    Task<bool> serve_job(std::shared_ptr<Site> site, std::unique_ptr<Connected>& connected, Job job, bool used);
    Task<> wait_for_job(std::shared_ptr<Site> site);
    void refuse_all(Site& site, const NoWay& why);
    Task<> settle(Job job, std::vector<Reached> reached);
    Task<> refuse(Job job, NoWay why);
    Task<> save(Job& job);
    Task<> report(Job& job);
    Timestamp now() const { return queue_.clock().now(); }

    const Executor executor_;
    queue::Queue& queue_;
    delivery::Delivery& delivery_;
    dns::Lookup& dns_;
    const Options options_;
    Connector connector_;
    std::optional<StsPolicies> policies_;
    SteadyTimer timer_;
    Upcoming upcoming_;
    std::map<queue::PartId, std::optional<Upcoming::iterator>> known_;  ///< those that are being tried have no iterator
    std::map<std::string, std::shared_ptr<Domain>> domains_;            ///< that are looked up
    std::map<std::string, std::shared_ptr<Site>> sites_;
    std::deque<std::shared_ptr<Site>> waiting_sites_;  ///< for a connection
    std::size_t connections_ = 0, unproven_ = 0;
    std::size_t working_ = 0;  ///< coroutines
    bool more_ = true;         ///< the queue may hold parts that are due soon and not known
    bool left_some_ = false;   ///< since the queue was last looked through from its beginning
    SteadyTime scanned_{};
    std::optional<queue::Due> scanned_to_;  ///< the next look goes on behind it; nothing: at the beginning
    bool stopped_ = false;
};

}  // namespace poplar::outbound
