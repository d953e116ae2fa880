// POP sessions over one mailbox or several, and views.
#include "tests/store/play.h"

#include <algorithm>
#include <tuple>

namespace poplar::test::model {

void Play::open_session(const ModelStep& step) {
    auto& session = sessions_[step.a % 2];
    if (session) return;
    // Mostly the classic view of INBOX: while it is the only one, what is deleted there leaves the mailbox.
    mailstore::WantedMaildrop wanted(mailstore::ViewId(step.b % 7 < 2 ? 1 + step.b % 2 : 0), {mailstore::kInbox});
    if (step.a % 5 == 0) wanted.mailboxes = {any_mailbox(step.b)};
    if (step.a % 5 == 1) wanted.mailboxes.push_back(any_mailbox(step.b));
    if (step.b % 11 == 0) wanted.when_all_deleted = mailstore::WhenAllDeleted::keep;
    const auto& beside = sessions_[1 - step.a % 2];
    auto is_held = [&](MailboxId id) { return beside && beside->wanted.view == wanted.view && beside->sees(id); };
    const bool held = std::ranges::any_of(wanted.mailboxes, is_held);
    if (wanted.view != mailstore::kClassicView)
        for (auto id : wanted.mailboxes) {
            value_of(run(store_->make_view(kAccount, {wanted.view, id}, mailstore::kFromTheFirst)), "make_view");
            views_[id].insert({mailstore::kClassicView, wanted.view});
        }
    auto opened = run(store_->open_maildrop(kAccount, wanted));
    expect(opened.has_value() != held, "{}", held ? "a second session got the maildrop" : "the maildrop is in use");
    if (!opened) return;
    session.emplace(std::move(*opened), wanted);
    std::vector<const Known*> shown;
    for (const auto& [id, name] : names_)
        for (const auto* one : live_in(id))
            if (session->sees(id) && !one->deleted.contains(wanted.view)) shown.push_back(one);
    // One mailbox has its own order; several together have that of arrival.
    if (wanted.mailboxes.front() != wanted.mailboxes.back())
        std::ranges::sort(shown, {}, [](const Known* one) {
            return std::tuple(one->message.received, one->message.mailbox, one->message.order);
        });
    std::uint64_t octets = 0;
    for (const auto* one : shown) {
        session->ids.push_back(one->message.unique_id);
        octets += one->message.octets;
    }
    expect(session->maildrop->message_count() == session->ids.size(), "the session counts otherwise");
    expect(session->maildrop->octets() == octets, "the session counts other octets");
}

const std::vector<Message>& Play::list_of(Session& session) {
    const auto& list = *value_of(run(session.maildrop->messages()), "the session's list");
    expect(list.size() == session.ids.size(), "the session sees {} messages, not {}", list.size(), session.ids.size());
    for (std::size_t i = 0; i < list.size(); ++i)
        expect(list[i].unique_id == session.ids[i], "the session's message {} is another", i + 1);
    return list;
}

Play::Session* Play::any_session() {
    for (auto& session : sessions_)
        if (session) return &*session;
    return nullptr;
}

void Play::list_session(const ModelStep& step) {
    auto* session = any_session();
    if (!session) return;
    const auto& list = list_of(*session);
    if (list.empty()) return;
    const auto& message = list[step.a % list.size()];
    auto text = read(run(session->maildrop->open(message)));
    if (auto known = find(message.unique_id))  // else its days are over
        expect(text == known->text, "the session reads other bytes of {}", message.unique_id);
}

void Play::quit(const ModelStep& step) {
    auto* session = any_session();
    if (!session) return;
    const auto& list = list_of(*session);
    std::vector<std::uint32_t> numbers;
    for (std::size_t i = 0; i < list.size(); ++i)
        if (step.a >> (i * 7 % 61) & 1) numbers.push_back(static_cast<std::uint32_t>(i + 1));
    value_of(run(session->maildrop->remove(numbers)), "the session's deletions");
    const auto& wanted = session->wanted;
    const bool several = wanted.mailboxes.front() != wanted.mailboxes.back();
    for (auto number : numbers) {
        // One that was moved meanwhile is not in a maildrop of one mailbox any more, even if it came back to
        // another place. In one of several it is, as long as it is in one of them.
        auto* one = find(session->ids[number - 1]);
        const auto& listed = list[number - 1];
        if (!one || !one->live || !session->sees(one->message.mailbox)) continue;
        if (!several && one->message.order != listed.order) continue;
        auto& views = views_[one->message.mailbox];
        if (views.empty() && wanted.when_all_deleted == mailstore::WhenAllDeleted::keep)
            views.insert(mailstore::kClassicView);
        if (views.empty())
            retain(listed.unique_id);
        else
            one->deleted.insert(wanted.view);
    }
    for (auto& one : sessions_)
        if (one && &*one == session) one.reset();
}

void Play::change_views(const ModelStep& step) {
    auto retain_if = [this](MailboxId id, auto is_unwanted) {
        std::vector<std::string> unwanted;
        for (const auto* one : live_in(id))
            if (is_unwanted(one->deleted)) unwanted.push_back(one->message.unique_id);
        for (const auto& unique_id : unwanted) retain(unique_id);
    };
    const mailstore::ViewId view(1 + step.b % 2);
    for (const auto& session : sessions_)
        if (session && session->wanted.view == view) return;
    if (step.a % 4 != 0) {
        value_of(run(store_->let_go(kAccount)), "let_go");
        for (const auto& [id, views] : views_)
            if (!views.empty()) retain_if(id, [&](const auto& deleted) { return deleted == views; });
        return;
    }
    const auto id = any_mailbox(step.a / 4);
    auto& views = views_[id];
    const bool alone = views == std::set{mailstore::kClassicView};  // what was deleted was kept
    value_of(run(store_->drop_view(kAccount, {view, id})), "drop_view");
    if (views.erase(view) == 0 && !alone) return;
    for (auto& one : known_)
        if (one.message.mailbox == id) one.deleted.erase(view);
    if (views.size() > 1) return;
    retain_if(id, [](const auto& deleted) { return !deleted.empty(); });
    views.clear();
}

}  // namespace poplar::test::model
