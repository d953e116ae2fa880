#pragma once
// The texts of the mail about a mailbox that fills up, in the languages of POP3's replies (pop3/text_table.h). A
// row has all of them, in the order of kLanguages. Arguments are "{0}", "{1}": each row says which it has.
#include <array>
#include <string_view>

namespace poplar::quota {

inline constexpr std::array<std::string_view, 6> kLanguages = {"en", "de", "es", "fr", "it", "ja"};  // RFC 5646

using Translations = std::array<std::string_view, kLanguages.size()>;

// clang-format off

/// The subject below 100 %. {0}: percent.
inline constexpr Translations kFillsUp = {
    "Your mailbox is {0} % full",
    "Ihr Postfach ist zu {0} % voll",
    "Su buzón está al {0} % de su capacidad",
    "Votre boîte aux lettres est remplie à {0} %",
    "La sua casella di posta è piena al {0} %",
    "メールボックスの使用量が{0}%に達しました"};

/// The subject at 100 %.
inline constexpr Translations kIsFull = {
    "Your mailbox is full",
    "Ihr Postfach ist voll",
    "Su buzón está lleno",
    "Votre boîte aux lettres est pleine",
    "La sua casella di posta è piena",
    "メールボックスがいっぱいです"};

/// {0}: the address.
inline constexpr Translations kMailboxOf = {
    "The mailbox of {0} holds:",
    "Das Postfach von {0} enthält:",
    "El buzón de {0} contiene:",
    "La boîte aux lettres de {0} contient :",
    "La casella di posta di {0} contiene:",
    "{0} のメールボックスの使用状況:"};

/// {0}: a size, {1}: the limit.
inline constexpr Translations kOctets = {
    "{0} of {1}",
    "{0} von {1}",
    "{0} de {1}",
    "{0} sur {1}",
    "{0} su {1}",
    "{1} 中 {0}"};

/// {0}: a number, {1}: the limit.
inline constexpr Translations kMessages = {
    "{0} of {1} messages",
    "{0} von {1} Nachrichten",
    "{0} de {1} mensajes",
    "{0} messages sur {1}",
    "{0} messaggi su {1}",
    "{1} 通中 {0} 通"};

inline constexpr Translations kAdvice = {
    "Please delete messages that you do not need any more, or let your mail\n"
    "program remove them from the server.",
    "Bitte löschen Sie Nachrichten, die Sie nicht mehr brauchen, oder lassen Sie\n"
    "Ihr Mailprogramm sie vom Server entfernen.",
    "Borre los mensajes que ya no necesite, o haga que su programa de correo los\n"
    "elimine del servidor.",
    "Veuillez effacer les messages dont vous n'avez plus besoin, ou laissez votre\n"
    "logiciel de messagerie les retirer du serveur.",
    "Cancelli i messaggi che non le servono più, oppure lasci che il suo programma\n"
    "di posta li tolga dal server.",
    "不要なメッセージを削除するか、お使いのメールソフトでサーバーから\n"
    "削除する設定にしてください。"};

/// Below 100 %, with either setting.
inline constexpr Translations kBefore = {
    "When it is full, new messages do not reach you.",
    "Wenn es voll ist, erreichen Sie keine neuen Nachrichten mehr.",
    "Cuando esté lleno, no le llegarán mensajes nuevos.",
    "Quand elle sera pleine, vous ne recevrez plus de nouveaux messages.",
    "Quando sarà piena, non riceverà più nuovi messaggi.",
    "いっぱいになると、新しいメッセージを受け取れなくなります。"};

/// At 100 %, quota.full_reply = "defer".
inline constexpr Translations kWaits = {
    "Until there is room again, new messages wait at the servers of their senders.\n"
    "After some days they go back to the senders.",
    "Bis wieder Platz ist, warten neue Nachrichten auf den Servern der Absender.\n"
    "Nach einigen Tagen gehen sie an die Absender zurück.",
    "Hasta que haya sitio, los mensajes nuevos esperan en los servidores de sus\n"
    "remitentes. Pasados unos días, se les devuelven.",
    "Tant qu'il n'y a pas de place, les nouveaux messages attendent sur les serveurs\n"
    "de leurs expéditeurs. Après quelques jours, ils leur sont renvoyés.",
    "Finché non c'è di nuovo spazio, i nuovi messaggi aspettano sui server dei\n"
    "mittenti. Dopo alcuni giorni tornano ai mittenti.",
    "空きができるまで、新しいメッセージは送信者側のサーバーで待機します。\n"
    "数日たつと送信者に返送されます。"};

/// At 100 %, quota.full_reply = "reject".
inline constexpr Translations kRefused = {
    "Until there is room again, new messages go back to their senders.",
    "Bis wieder Platz ist, gehen neue Nachrichten an die Absender zurück.",
    "Hasta que haya sitio, los mensajes nuevos se devuelven a sus remitentes.",
    "Tant qu'il n'y a pas de place, les nouveaux messages sont renvoyés à leurs\n"
    "expéditeurs.",
    "Finché non c'è di nuovo spazio, i nuovi messaggi tornano ai mittenti.",
    "空きができるまで、新しいメッセージは送信者に返送されます。"};

// clang-format on

}  // namespace poplar::quota
