#include "api/activity.h"

#include "api/types.h"

namespace poplar::api {

const Shape& Activity::shape() {
    static const Shape shape{
        "Activity",
        "An entry of an account's ledger. The same thing again at the same place is counted: logins, refused ones too, "
        "of "
        "one day (UTC), and all else of one hour, or of several where there are very many.",
        {field<&Activity::kind>("kind",
                                "login, refused, unproven (the right password, and no second factor), fetched, "
                                "deleted, credential or restored"),
         field<&Activity::first>("first", "When it began"), field<&Activity::last>("last", "When it ended"),
         field<&Activity::times>("times", "Sessions or attempts"),
         field<&Activity::messages>("messages", "That were fetched, deleted or restored, in all"),
         field<&Activity::device>("device", "The id of the device; missing: none"),
         field<&Activity::device_name>("device_name", "As it was called then"),
         field<&Activity::from>("from", "An address, for all of its /64 if that is of IPv6; empty: this server"),
         field<&Activity::protocol>("protocol", "pop3, admin, housekeeping, ..."),
         field<&Activity::detail>("detail", "The mechanism, why it was refused, or what was changed"),
         field<&Activity::sum>("sum",
                               "The sum of what came from more places in one day than have entries of their own "
                               "(activity.entries)")}};
    return shape;
}

const Shape& ActivityList::shape() {
    static const Shape shape{"ActivityList",
                             "",
                             {field<&ActivityList::entries>("entries", "The latest ones, in order of their last time"),
                              field<&ActivityList::next>("next", "To be given as `after` for what happens later"),
                              field<&ActivityList::damaged>("damaged", "Entries of that time that can't be read")}};
    return shape;
}

const Operation& ListActivity::operation() {
    static const Operation operation{
        .request =
            {"ListActivity",
             "Show what happened to an account: logins, refused logins, fetched and deleted mail, by device and place",
             {field<&ListActivity::address>("address", "The account, or id:NUMBER for one that was removed"),
              field<&ListActivity::since>("since",
                                          "Only what is later: a time like 2026-11-22T03:05:09Z, or 7d for the "
                                          "last 7 days")
                  .called("TIME"),
              field<&ListActivity::kind>("kind",
                                         "Only these, joined by commas: login, refused, unproven, fetched, "
                                         "deleted, credential, restored")
                  .called("KIND"),
              field<&ListActivity::after>("after", "Only what ended later than an earlier reply's `next`").hidden(),
              field<&ListActivity::limit>("limit", "Of each kind at most so many; 1,000 if it is not said")
                  .up_to(10'000)
                  .hidden()}},
        .method = Method::get,
        .route = "/v1/accounts/{address}/activity",
        .reply = &ActivityList::shape()};
    return operation;
}

const Shape& Session::shape() {
    static const Shape shape{
        "Session",
        "",
        {field<&Session::id>("id", "As the log has it; empty: it has not begun"),
         field<&Session::protocol>(
             "protocol", "The listener: pop3, pop3s, imap, imaps, smtp, submission, submissions, lmtp or sieve"),
         field<&Session::account>("account", "Its account; empty: nobody has logged in"),
         field<&Session::device>("device", "The device's name; empty: none"),
         field<&Session::from>("from", "The peer's address"), field<&Session::since>("since", "When it was accepted"),
         field<&Session::state>("state", "waiting, or sending while the peer has to take output"),
         field<&Session::idle_seconds>("idle_seconds", "Since the peer last sent something"),
         field<&Session::tls>("tls", "Whether it is encrypted")}};
    return shape;
}

const Shape& SessionList::shape() {
    static const Shape shape{"SessionList",
                             "",
                             {field<&SessionList::sessions>("sessions", "The oldest first"),
                              field<&SessionList::more>("more", "There are more than `limit`")}};
    return shape;
}

const Operation& ListSessions::operation() {
    static const Operation operation{
        .request = {"ListSessions",
                    "List open sessions of all protocols",
                    {field<&ListSessions::address>("address", "Only those of this account").positional(),
                     field<&ListSessions::limit>("limit", "At most so many; 1,000 if it is not said")
                         .up_to(100'000)
                         .hidden()}},
        .method = Method::get,
        .route = "/v1/sessions",
        .reply = &SessionList::shape()};
    return operation;
}

const Operation& EndSession::operation() {
    static const Operation operation{
        .request = {"EndSession",
                    "End a session at once; what a client had marked for deletion is not deleted",
                    {field<&EndSession::id>("id", "As the list has it")}},
        .method = Method::remove,
        .route = "/v1/sessions/{id}",
        .reply = &Session::shape(),
        .answer = "The session as it was."};
    return operation;
}

const Shape& Blocked::shape() {
    static const Shape shape{
        "Blocked",
        "A limit that was passed. Nobody is locked out: attempts take turns, ever further apart.",
        {field<&Blocked::limit>("limit",
                                "pair (an account from an address), peer, network, account, password (one "
                                "password from a network), device (passwords of one), token or code (wrong ones "
                                "behind the right password; others are not looked at)"),
         field<&Blocked::account>("account", "Or a name that nobody has; empty: any"),
         field<&Blocked::from>("from", "An address or a network; empty: any"),
         field<&Blocked::failures>("failures", "That count"),
         field<&Blocked::delay_seconds>("delay_seconds", "Until the next attempt is judged"),
         field<&Blocked::lasts_seconds>("lasts_seconds", "Until the limit holds nobody up, without more failures")}};
    return shape;
}

const Shape& BlockedList::shape() {
    static const Shape shape{"BlockedList",
                             "",
                             {field<&BlockedList::blocked>("blocked", "Those that last longest first"),
                              field<&BlockedList::total>("total", "How many there are")}};
    return shape;
}

const Operation& ListBlocked::operation() {
    static const Operation operation{
        .request =
            {"ListBlocked",
             "List accounts, addresses and networks whose logins are held up after failures",
             {field<&ListBlocked::limit>("limit", "At most so many; 1,000 if it is not said").up_to(100'000).hidden()}},
        .method = Method::get,
        .route = "/v1/blocked",
        .reply = &BlockedList::shape()};
    return operation;
}

const Shape& Release::shape() {
    static const Shape shape{
        "Release", "", {field<&Release::released>("released", "Limits that do not hold it up any more")}};
    return shape;
}

const Operation& ClearBlocked::operation() {
    static const Operation operation{
        .request = {"ClearBlocked",
                    "Forget the failures that hold up an account, an address or a network",
                    {field<&ClearBlocked::who>("who",
                                               "An account's address, an IP address, or a network as the list "
                                               "has it")}},
        .method = Method::remove,
        .route = "/v1/blocked/{who}",
        .reply = &Release::shape()};
    return operation;
}

}  // namespace poplar::api
