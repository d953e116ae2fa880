// The admin API's types and calls. Made from src/api/ by scripts/make-pages: change the declarations there.

/** Sends a request and gives the reply's JSON; throws what the API answers as an error. */
export type Call = (method: string, target: string, body?: unknown) => Promise<unknown>;

function query(parameters: Record<string, string | number | boolean | undefined>): string {
  const pairs = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encodeURIComponent(typeof value === "boolean" ? (value ? "yes" : "no") : String(value))}`);
  return pairs.length === 0 ? "" : "?" + pairs.join("&");
}

export interface DomainList {
  domains: Domain[];
}

export interface Domain {
  name: string;
  catch_all: string | null;
  created: string;
  second_factor: "none" | "optional" | "required" | null;
  second_factor_ways: "totp" | "approval" | "device" | "certificate"[];
  sessions_ended?: number;
  retention: number | null;
}

export interface Removal {
  removed: string;
}

export interface CatchAll {
  name: string;
  catch_all: string;
}

export interface AccountList {
  accounts: Account[];
}

export interface Account {
  id: number;
  address: string;
  status: "enabled" | "disabled";
  password_scheme: string | null;
  scram: string[];
  shared_secret: boolean;
  created: string;
  expire_days: number | "never" | null;
  login_delay: number | null;
  second_factor: "none" | "optional" | "required" | null;
  second_factor_ways: "totp" | "approval" | "device" | "certificate"[];
  needs_second_factor?: boolean;
  authenticator?: string;
  recovery_codes?: number;
  when_all_deleted: string;
  language: string | null;
  retention: number | null;
  may_send_as: string[];
  messages?: number;
  octets?: number;
  retained_messages?: number;
  retained_octets?: number;
  password?: string;
  sessions_ended?: number;
}

export interface ImportedAccount {
  address: string;
  password_hash: string;
}

export interface ImportCounts {
  added: number;
  updated: number;
  unchanged: number;
  refused: RefusedAccount[];
  sessions_ended: number;
}

export interface RefusedAccount {
  address: string;
  why: string;
}

export interface AccountRemoval {
  removed: string;
  id: number;
  mail_kept_until: string | null;
  sessions_ended: number;
}

export interface CredentialChange {
  address: string;
  sessions_ended: number;
  password?: string;
  secret?: string;
}

export interface RemovedAccountList {
  removed_accounts: RemovedAccount[];
}

export interface RemovedAccount {
  id: number;
  address: string;
  removed: string;
  mail_kept_until: string;
}

export interface DeviceList {
  devices: Device[];
}

export interface Device {
  id: string;
  name: string;
  created: string;
  protocols: string[];
  from: string[];
  expires: string | null;
  read_only: boolean;
  view: string;
  mailboxes: string[];
  last_used: string | null;
  last_from: string;
  last_protocol: string;
  logins: number;
  fetched: number;
  deleted: number;
  password?: string;
}

export interface DeviceRevocation {
  id: string;
  name: string;
  sessions_ended: number;
}

export interface Enrollment {
  address: string;
  secret: string;
  uri: string;
  recovery_codes: string[];
}

export interface TotpConfirmation {
  address: string;
  second_factor: "none" | "optional" | "required";
}

export interface TotpRemoval {
  address: string;
  sessions_ended: number;
}

export interface RecoveryCodes {
  address: string;
  recovery_codes: string[];
}

export interface SiteList {
  sites: Site[];
}

export interface Site {
  id: number;
  kind: "window" | "accepted" | "denied" | "pending";
  network: string;
  peer: string;
  protocol: string;
  since: string;
  until: string;
}

export interface SiteDenial {
  id: number;
  network: string;
  until: string;
  sessions_ended: number;
}

export interface LearnedSites {
  accounts: number;
  sites: number;
  next: string;
}

export interface Encryption {
  address: string;
  state: "off" | "wanted" | "beginning" | "on" | "ending";
  passwords: number;
  devices: number;
  waiting: number;
  recovery_code_made: boolean;
  escrow: boolean;
  sealed?: number;
  in_clear?: number;
  since?: string;
  unreadable: number;
  recovery_code?: string;
}

export interface DomainEncryption {
  name: string;
  accounts: number;
  encrypted: number;
  wanted: number;
}

export interface AliasList {
  aliases: Alias[];
}

export interface Alias {
  address: string;
  targets: string[];
}

export interface Quota {
  name: string;
  bytes: number | null;
  messages: number | null;
  total_bytes?: number | null;
  total_messages?: number | null;
  most_bytes?: number;
  most_messages?: number;
  used_bytes: number;
  used_messages: number;
}

export interface Recount {
  name: string;
  accounts: number;
  corrected: string[];
  used_bytes: number;
  used_messages: number;
}

export interface ActivityList {
  entries: Activity[];
  next: number;
  damaged: number;
}

export interface Activity {
  kind: string;
  first: string;
  last: string;
  times: number;
  messages: number;
  device?: string;
  device_name?: string;
  from: string;
  protocol: string;
  detail: string;
  sum?: true;
}

export interface SessionList {
  sessions: Session[];
  more: boolean;
}

export interface Session {
  id: string;
  protocol: string;
  account: string;
  device: string;
  from: string;
  since: string;
  state: string;
  idle_seconds: number;
  tls: boolean;
}

export interface BlockedList {
  blocked: Blocked[];
  total: number;
}

export interface Blocked {
  limit: string;
  account: string;
  from: string;
  failures: number;
  delay_seconds: number;
  lasts_seconds: number;
}

export interface Release {
  released: number;
}

export interface MessageList {
  messages: Message[];
}

export interface Message {
  unique_id: string;
  order: number;
  octets: number;
  received: string;
  mailbox: number;
  uid: number;
  flags: string[];
  from?: string;
  subject?: string;
  date?: string;
  error?: string;
  deleted?: string;
  expires?: string;
  reason?: string;
  deleted_by?: string;
  devices?: string[];
}

export interface Learned {
  id: string;
  kind: string;
}

export interface Delivered {
  recipient: string;
  octets: number;
  transaction: string;
}

export interface ImportedMessage {
  source: string;
  unique_id: string;
  state: string;
  not_kept?: string;
}

export interface ImportedList {
  messages: ImportedMessage[];
}

export interface Restoration {
  restored: number;
  octets: number;
  already: number;
  missing: string[];
  more: boolean;
  messages: Message[];
}

export interface MailboxList {
  mailboxes: Mailbox[];
}

export interface Mailbox {
  name: string;
  id: number;
  use: string | null;
  subscribed: boolean;
  messages: number;
  octets: number;
  unseen: number;
  deleted: number;
  uid_validity: number;
  uid_next: number;
  mod_sequence: number;
}

export interface ChangeList {
  number: number;
  forgotten: boolean;
  changes: Change[];
}

export interface Change {
  number: number;
  kind: string;
  mailbox: number;
  uids: string[];
  to?: number;
  to_uids?: string[];
}

export interface Queue {
  messages: QueuedMessage[];
}

export interface QueuedMessage {
  id: string;
  sender: string;
  account: string | null;
  octets: number;
  arrived: string;
  finished: string | null;
  recipients: QueuedRecipient[];
}

export interface QueuedRecipient {
  address: string;
  state: string;
  last_reply: string;
  host: string;
  attempts: number;
  next_attempt: string | null;
}

export interface QueueChange {
  messages: number;
  recipients: number;
  busy: number;
}

export interface DkimKeys {
  keys: DkimKey[];
}

export interface DkimKey {
  domain: string;
  selector: string;
  algorithm: string;
  created: string;
  signs_from: string;
}

export interface DnsRecords {
  records: DnsRecord[];
}

export interface DnsRecord {
  name: string;
  value: string;
}

export interface DkimRemoval {
  domain: string;
  keys: number;
}

export interface ScriptList {
  scripts: ScriptSummary[];
}

export interface ScriptSummary {
  name: string;
  active: boolean;
  octets: number;
  modified: string;
}

export interface ScriptText {
  name: string;
  text: string;
}

export interface ScriptVerdict {
  valid: boolean;
  errors: ScriptProblem[];
  warnings: ScriptProblem[];
}

export interface ScriptProblem {
  line: number;
  column: number;
  message: string;
}

export interface ActiveScript {
  active: string | null;
}

export interface Forward {
  to: string[];
  keep: boolean;
}

export interface Vacation {
  from: string;
  to: string;
  subject: string;
  text: string;
}

export interface CommonScriptList {
  scripts: CommonScript[];
}

export interface CommonScript {
  place: string;
  name: string;
  built_in: boolean;
  octets: number;
  modified: string | null;
}

export interface CommonScriptText {
  place: string;
  name: string;
  text: string;
}

export interface Status {
  version: string;
  hostname: string;
  pid: number;
  started: string;
  uptime_seconds: number;
  stopping: boolean;
  config: string;
  listening: ListeningAddress[];
  certificate_expires: string | null;
  connections: Connections;
  directory: DirectoryTotals;
  postmaster: PostmasterState;
  storage: Storage;
  scrub: Scrub;
  clock: ClockState;
  housekeeping: Housekeeping | null;
}

export interface ListeningAddress {
  protocol: string;
  address: string;
}

export interface Connections {
  by_protocol: Record<string, SessionCounts>;
  accepted: number;
  refused_total_limit: number;
  refused_peer_limit: number;
}

export interface SessionCounts {
  live: number;
  total: number;
}

export interface DirectoryTotals {
  domains?: number;
  accounts?: number;
  aliases?: number;
  error?: string;
}

export interface PostmasterState {
  named?: boolean;
  kept_messages?: number;
  kept_octets?: number;
  error?: string;
}

export interface Storage {
  health: string;
  state: string;
  directory: string;
  segments: number;
  log_octets: number;
  index_octets: number;
  free_octets: number;
  staged_octets: number;
  used_octets: number;
  live_octets: number;
  large_octets: number;
  commits: number;
  groups: number;
  copying: Copying;
  damage_found_at_start: FileDamage[];
}

export interface Copying {
  state: string;
  copies: number;
  copied_octets: number;
  freed_octets: number;
}

export interface FileDamage {
  file: string;
  offset: number;
  what: string;
}

export interface Scrub {
  under_way: boolean;
  begun: string | null;
  ended: string | null;
  records: number;
  bodies: number;
  octets: number;
  damaged: number;
  damage: VerifyEvent[];
  failure: string;
}

export interface VerifyEvent {
  type: string;
  what?: string;
  file?: string;
  offset?: number;
  partition?: number;
  account?: string;
  body?: number;
  message?: string;
  segments?: number;
  records?: number;
  bodies?: number;
  octets?: number;
  damaged?: number;
  accounts?: number;
}

export interface ClockState {
  doubted: boolean;
  time: string;
  expected?: string;
  since?: string;
  believed_at?: string | null;
}

export interface Housekeeping {
  accounts: number;
  aged_messages: number;
  expired_messages: number;
  purged_accounts: number;
  failures: number;
  suspended: boolean;
}

export interface Scrubbing {
  scrubbing: boolean;
}

export interface Confirmation {
  confirmed: boolean;
}

/** List all domains. */
export async function listDomains(call: Call): Promise<DomainList> {
  return (await call("GET", `/v1/domains`)) as DomainList;
}

export interface AddDomain {
  name: string;
  postmaster?: string;
}

/** Add a domain. */
export async function addDomain(call: Call, request: AddDomain): Promise<Domain> {
  return (await call("POST", `/v1/domains`, { name: request.name, postmaster: request.postmaster })) as Domain;
}

export interface RemoveDomain {
  name: string;
}

/** Remove a domain that has no accounts and aliases any more. */
export async function removeDomain(call: Call, request: RemoveDomain): Promise<Removal> {
  return (await call("DELETE", `/v1/domains/${encodeURIComponent(request.name)}`)) as Removal;
}

export interface SetCatchAll {
  name: string;
  address: string;
}

/** Say who gets the mail to unknown addresses of a domain. */
export async function setCatchAll(call: Call, request: SetCatchAll): Promise<CatchAll> {
  return (await call("PUT", `/v1/domains/${encodeURIComponent(request.name)}/catch-all`, { address: request.address })) as CatchAll;
}

export interface SetDomain {
  name: string;
  second_factor?: "none" | "optional" | "required" | null;
  second_factor_ways?: "totp" | "approval" | "device" | "certificate"[];
  retention?: number | null;
}

/** Set what holds for a domain's accounts that have no setting of their own. */
export async function setDomain(call: Call, request: SetDomain): Promise<Domain> {
  return (await call("PUT", `/v1/domains/${encodeURIComponent(request.name)}/settings`, { second_factor: request.second_factor, second_factor_ways: request.second_factor_ways, retention: request.retention })) as Domain;
}

export interface ListAccounts {
  domain?: string;
  after?: string;
  limit?: number;
}

/** List accounts. */
export async function listAccounts(call: Call, request: ListAccounts): Promise<AccountList> {
  return (await call("GET", `/v1/accounts` + query({ domain: request.domain, after: request.after, limit: request.limit }))) as AccountList;
}

export interface AddAccount {
  address: string;
  password?: string;
  password_hash?: string;
  generate?: true;
}

/** Add an account. */
export async function addAccount(call: Call, request: AddAccount): Promise<Account> {
  return (await call("POST", `/v1/accounts`, { address: request.address, password: request.password, password_hash: request.password_hash, generate: request.generate })) as Account;
}

export interface ImportAccounts {
  accounts: ImportedAccount[];
  add_domains?: boolean;
}

/** Add or update many accounts; the same list again changes nothing. */
export async function importAccounts(call: Call, request: ImportAccounts): Promise<ImportCounts> {
  return (await call("POST", `/v1/accounts/import`, { accounts: request.accounts, add_domains: request.add_domains })) as ImportCounts;
}

export interface ShowAccount {
  address: string;
}

/** Show one account and how much mail it has. */
export async function showAccount(call: Call, request: ShowAccount): Promise<Account> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}`)) as Account;
}

export interface RemoveAccount {
  address: string;
  purge?: boolean;
}

/** Remove an account; its mail is kept for storage.retention. */
export async function removeAccount(call: Call, request: RemoveAccount): Promise<AccountRemoval> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}` + query({ purge: request.purge }))) as AccountRemoval;
}

export interface SetPassword {
  address: string;
  old_password?: string;
  recovery_code?: string;
  escrow_key?: string;
  lose_mail?: true;
  password?: string;
  password_hash?: string;
  generate?: true;
}

/** Set an account's password. */
export async function setPassword(call: Call, request: SetPassword): Promise<CredentialChange> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/password`, { old_password: request.old_password, recovery_code: request.recovery_code, escrow_key: request.escrow_key, lose_mail: request.lose_mail, password: request.password, password_hash: request.password_hash, generate: request.generate })) as CredentialChange;
}

export interface SetSharedSecret {
  address: string;
  secret?: string;
  generate?: true;
}

/** Set the secret for APOP and CRAM-MD5; it is stored in clear. */
export async function setSharedSecret(call: Call, request: SetSharedSecret): Promise<CredentialChange> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/shared-secret`, { secret: request.secret, generate: request.generate })) as CredentialChange;
}

export interface RemoveSharedSecret {
  address: string;
}

/** The account can't use APOP and CRAM-MD5 any more. */
export async function removeSharedSecret(call: Call, request: RemoveSharedSecret): Promise<CredentialChange> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/shared-secret`)) as CredentialChange;
}

export interface SetStatus {
  address: string;
  status: "enabled" | "disabled";
}

/** Disable an account, which refuses its logins and its mail and ends its sessions; or enable it again. */
export async function setStatus(call: Call, request: SetStatus): Promise<Account> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/status`, { status: request.status })) as Account;
}

export interface SetSettings {
  address: string;
  expire_days?: number | "never" | null;
  login_delay?: number | null;
  second_factor?: "none" | "optional" | "required" | null;
  second_factor_ways?: "totp" | "approval" | "device" | "certificate"[];
  when_all_deleted?: string;
  language?: string | null;
  retention?: number | null;
  may_send_as?: string[];
}

/** Set what an account has of its own in place of the configuration. */
export async function setSettings(call: Call, request: SetSettings): Promise<Account> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/settings`, { expire_days: request.expire_days, login_delay: request.login_delay, second_factor: request.second_factor, second_factor_ways: request.second_factor_ways, when_all_deleted: request.when_all_deleted, language: request.language, retention: request.retention, may_send_as: request.may_send_as })) as Account;
}

/** List removed accounts whose mail is still kept. */
export async function listRemovedAccounts(call: Call): Promise<RemovedAccountList> {
  return (await call("GET", `/v1/removed-accounts`)) as RemovedAccountList;
}

export interface ListDevices {
  address: string;
}

/** List an account's devices, and what they were used for. */
export async function listDevices(call: Call, request: ListDevices): Promise<DeviceList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/devices`)) as DeviceList;
}

export interface AddDevice {
  address: string;
  name: string;
  protocols?: string[];
  from?: string[];
  mailbox?: string[];
  expires?: number;
  read_only?: true;
  view?: string;
  since?: string;
}

/** Make a password for one device or program, and print it once. */
export async function addDevice(call: Call, request: AddDevice): Promise<Device> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/devices`, { name: request.name, protocols: request.protocols, from: request.from, mailbox: request.mailbox, expires: request.expires, read_only: request.read_only, view: request.view, since: request.since })) as Device;
}

export interface SetDevice {
  address: string;
  id: string;
  name?: string;
  protocols?: string[];
  from?: string[];
  mailbox?: string[];
  expires?: number | null;
}

/** Change what a device is called or may do; its password stays. */
export async function setDevice(call: Call, request: SetDevice): Promise<Device> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/devices/${encodeURIComponent(request.id)}`, { name: request.name, protocols: request.protocols, from: request.from, mailbox: request.mailbox, expires: request.expires })) as Device;
}

export interface RevokeDevice {
  address: string;
  id: string;
}

/** Take a device's password back, at once, and end its sessions. */
export async function revokeDevice(call: Call, request: RevokeDevice): Promise<DeviceRevocation> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/devices/${encodeURIComponent(request.id)}`)) as DeviceRevocation;
}

export interface EnrollTotp {
  address: string;
}

/** Give an account an authenticator (TOTP): prints its secret and ten recovery codes once. */
export async function enrollTotp(call: Call, request: EnrollTotp): Promise<Enrollment> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/totp`)) as Enrollment;
}

export interface ConfirmTotp {
  address: string;
  code: string;
}

/** Confirm an authenticator by a code of it; from now on it counts. */
export async function confirmTotp(call: Call, request: ConfirmTotp): Promise<TotpConfirmation> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/totp/confirm`, { code: request.code })) as TotpConfirmation;
}

export interface RemoveTotp {
  address: string;
}

/** Take an account's authenticator away, with its recovery codes and the windows that codes opened. */
export async function removeTotp(call: Call, request: RemoveTotp): Promise<TotpRemoval> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/totp`)) as TotpRemoval;
}

export interface MakeRecoveryCodes {
  address: string;
}

/** Make ten new recovery codes; the earlier ones are void. */
export async function makeRecoveryCodes(call: Call, request: MakeRecoveryCodes): Promise<RecoveryCodes> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/totp/codes`)) as RecoveryCodes;
}

export interface ListSites {
  address: string;
}

/** List the networks that wait to be accepted for an account, and those that are decided. */
export async function listSites(call: Call, request: ListSites): Promise<SiteList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/sites`)) as SiteList;
}

export interface AcceptSite {
  address: string;
  id: number;
}

/** Let an account's password in from a network, until it was not used from there for auth.accepted_site. */
export async function acceptSite(call: Call, request: AcceptSite): Promise<Site> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/sites/accept`, { id: request.id })) as Site;
}

export interface DenySite {
  address: string;
  id: number;
}

/** Refuse an account's password from a network, for auth.denied_site; an accepted one, too. */
export async function denySite(call: Call, request: DenySite): Promise<SiteDenial> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/sites/deny`, { id: request.id })) as SiteDenial;
}

export interface LearnSites {
  address?: string;
  domain?: string;
  after?: string;
}

/** Accept the networks that an account, or all of a domain, logged in from by its own password within the last 30 days, so that asking for approval from now on surprises nobody. */
export async function learnSites(call: Call, request: LearnSites): Promise<LearnedSites> {
  return (await call("POST", `/v1/sites/learn`, { address: request.address, domain: request.domain, after: request.after })) as LearnedSites;
}

export interface ShowEncryption {
  address: string;
}

/** Show whether an account's mail is encrypted, and who can open it. */
export async function showEncryption(call: Call, request: ShowEncryption): Promise<Encryption> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/encryption`)) as Encryption;
}

export interface EnableEncryption {
  address: string;
  password?: string;
}

/** Have an account's mail encrypted at rest. */
export async function enableEncryption(call: Call, request: EnableEncryption): Promise<Encryption> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/encryption`, { password: request.password })) as Encryption;
}

export interface EnableDomainEncryption {
  name: string;
}

/** Have the mail of all accounts that a domain has now encrypted at rest. */
export async function enableDomainEncryption(call: Call, request: EnableDomainEncryption): Promise<DomainEncryption> {
  return (await call("PUT", `/v1/domains/${encodeURIComponent(request.name)}/encryption`)) as DomainEncryption;
}

export interface DisableEncryption {
  address: string;
  password?: string;
  recovery_code?: string;
}

/** Decrypt an account's mail for good. */
export async function disableEncryption(call: Call, request: DisableEncryption): Promise<Encryption> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/encryption/end`, { password: request.password, recovery_code: request.recovery_code })) as Encryption;
}

export interface MakeRecoveryCode {
  address: string;
  password?: string;
}

/** Make a new recovery code for encrypted mail; the earlier one is void. */
export async function makeRecoveryCode(call: Call, request: MakeRecoveryCode): Promise<Encryption> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/encryption/code`, { password: request.password })) as Encryption;
}

export interface ListAliases {
  domain?: string;
  after?: string;
  limit?: number;
}

/** List aliases. */
export async function listAliases(call: Call, request: ListAliases): Promise<AliasList> {
  return (await call("GET", `/v1/aliases` + query({ domain: request.domain, after: request.after, limit: request.limit }))) as AliasList;
}

export interface AddAlias {
  address: string;
  targets: string[];
}

/** Add an alias. */
export async function addAlias(call: Call, request: AddAlias): Promise<Alias> {
  return (await call("POST", `/v1/aliases`, { address: request.address, targets: request.targets })) as Alias;
}

export interface RemoveAlias {
  address: string;
}

/** Remove an alias. */
export async function removeAlias(call: Call, request: RemoveAlias): Promise<Removal> {
  return (await call("DELETE", `/v1/aliases/${encodeURIComponent(request.address)}`)) as Removal;
}

export interface ShowQuota {
  name: string;
}

/** Show how much mail an account or a domain may hold, and how much it does. */
export async function showQuota(call: Call, request: ShowQuota): Promise<Quota> {
  return (await call("GET", `/v1/quotas/${encodeURIComponent(request.name)}`)) as Quota;
}

export interface SetQuota {
  name: string;
  bytes?: number | null;
  messages?: number | null;
  total_bytes?: number | null;
  total_messages?: number | null;
}

/** Set how much mail an account, each account of a domain, or a domain as a whole may hold. */
export async function setQuota(call: Call, request: SetQuota): Promise<Quota> {
  return (await call("PUT", `/v1/quotas/${encodeURIComponent(request.name)}`, { bytes: request.bytes, messages: request.messages, total_bytes: request.total_bytes, total_messages: request.total_messages })) as Quota;
}

export interface RecountQuota {
  name: string;
}

/** Count the messages of an account, or of all accounts of a domain, anew, and correct what is wrong. */
export async function recountQuota(call: Call, request: RecountQuota): Promise<Recount> {
  return (await call("POST", `/v1/quotas/${encodeURIComponent(request.name)}/recount`)) as Recount;
}

export interface ListActivity {
  address: string;
  since?: string;
  kind?: string;
  after?: number;
  limit?: number;
}

/** Show what happened to an account: logins, refused logins, fetched and deleted mail, by device and place. */
export async function listActivity(call: Call, request: ListActivity): Promise<ActivityList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/activity` + query({ since: request.since, kind: request.kind, after: request.after, limit: request.limit }))) as ActivityList;
}

export interface ListSessions {
  address?: string;
  limit?: number;
}

/** List open sessions of all protocols. */
export async function listSessions(call: Call, request: ListSessions): Promise<SessionList> {
  return (await call("GET", `/v1/sessions` + query({ address: request.address, limit: request.limit }))) as SessionList;
}

export interface EndSession {
  id: string;
}

/** End a session at once; what a client had marked for deletion is not deleted. */
export async function endSession(call: Call, request: EndSession): Promise<Session> {
  return (await call("DELETE", `/v1/sessions/${encodeURIComponent(request.id)}`)) as Session;
}

export interface ListBlocked {
  limit?: number;
}

/** List accounts, addresses and networks whose logins are held up after failures. */
export async function listBlocked(call: Call, request: ListBlocked): Promise<BlockedList> {
  return (await call("GET", `/v1/blocked` + query({ limit: request.limit }))) as BlockedList;
}

export interface ClearBlocked {
  who: string;
}

/** Forget the failures that hold up an account, an address or a network. */
export async function clearBlocked(call: Call, request: ClearBlocked): Promise<Release> {
  return (await call("DELETE", `/v1/blocked/${encodeURIComponent(request.who)}`)) as Release;
}

export interface ListMessages {
  address: string;
  mailbox?: string;
  after?: number;
  limit?: number;
  headers?: boolean;
}

/** List the messages of one mailbox. */
export async function listMessages(call: Call, request: ListMessages): Promise<MessageList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/messages` + query({ mailbox: request.mailbox, after: request.after, limit: request.limit, headers: request.headers }))) as MessageList;
}

export interface ShowMessage {
  address: string;
  id: string;
}

/** Show what is known of one message, also of a deleted one that is still kept. */
export async function showMessage(call: Call, request: ShowMessage): Promise<Message> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/messages/${encodeURIComponent(request.id)}`)) as Message;
}

export interface RemoveMessage {
  address: string;
  id: string;
}

/** Delete a message; it is kept for storage.retention. */
export async function removeMessage(call: Call, request: RemoveMessage): Promise<Removal> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/messages/${encodeURIComponent(request.id)}`)) as Removal;
}

export interface LearnMessage {
  address: string;
  kind: string;
  id: string;
}

/** Tell rspamd that a message is spam, or that it is none. */
export async function learnMessage(call: Call, request: LearnMessage): Promise<Learned> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/messages/${encodeURIComponent(request.id)}/learn`, { kind: request.kind })) as Learned;
}

export interface FindImported {
  address: string;
  sources: string[];
}

/** Tell which messages of another server were stored before. */
export async function findImported(call: Call, request: FindImported): Promise<ImportedList> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/imported`, { sources: request.sources })) as ImportedList;
}

export interface ListRetained {
  address: string;
  offset?: number;
  limit?: number;
  headers?: boolean;
}

/** List deleted messages that are still kept. */
export async function listRetained(call: Call, request: ListRetained): Promise<MessageList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/retained` + query({ offset: request.offset, limit: request.limit, headers: request.headers }))) as MessageList;
}

export interface RestoreMessage {
  address: string;
  id: string;
}

/** Put a deleted message back where it was. */
export async function restoreMessage(call: Call, request: RestoreMessage): Promise<Message> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/retained/${encodeURIComponent(request.id)}/restore`)) as Message;
}

export interface RestoreMessages {
  address: string;
  ids?: string[];
  since?: string;
  until?: string;
  device?: string;
  mailbox?: string;
  subject?: string;
  from_header?: string;
  all?: true;
  to?: string;
  dry_run?: true;
}

/** Put deleted mail back where it was; of the options below, all that are given have to fit a message. */
export async function restoreMessages(call: Call, request: RestoreMessages): Promise<Restoration> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/retained/restore`, { ids: request.ids, since: request.since, until: request.until, device: request.device, mailbox: request.mailbox, subject: request.subject, from_header: request.from_header, all: request.all, to: request.to, dry_run: request.dry_run })) as Restoration;
}

export interface ListMailboxes {
  address: string;
}

/** List an account's mailboxes and what they hold. */
export async function listMailboxes(call: Call, request: ListMailboxes): Promise<MailboxList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/mailboxes`)) as MailboxList;
}

export interface AddMailbox {
  address: string;
  name: string;
  use?: string;
}

/** Add a mailbox, with those above it that are missing. */
export async function addMailbox(call: Call, request: AddMailbox): Promise<Mailbox> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/mailboxes`, { name: request.name, use: request.use })) as Mailbox;
}

export interface RenameMailbox {
  address: string;
  name: string;
  to: string;
}

/** Rename a mailbox, with all that is below it. */
export async function renameMailbox(call: Call, request: RenameMailbox): Promise<Mailbox> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/mailboxes/${encodeURIComponent(request.name)}/name`, { to: request.to })) as Mailbox;
}

export interface SubscribeMailbox {
  address: string;
  name: string;
  subscribed: boolean;
}

/** Let mail programs show a mailbox, or not. */
export async function subscribeMailbox(call: Call, request: SubscribeMailbox): Promise<Mailbox> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/mailboxes/${encodeURIComponent(request.name)}/subscription`, { subscribed: request.subscribed })) as Mailbox;
}

export interface RemoveMailbox {
  address: string;
  name: string;
}

/** Remove a mailbox; its messages are deleted, and kept for storage.retention. */
export async function removeMailbox(call: Call, request: RemoveMailbox): Promise<Removal> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/mailboxes/${encodeURIComponent(request.name)}`)) as Removal;
}

export interface MoveMessage {
  address: string;
  id: string;
  mailbox: string;
}

/** Move a message to another mailbox; its unique-id stays. */
export async function moveMessage(call: Call, request: MoveMessage): Promise<Message> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/messages/${encodeURIComponent(request.id)}/mailbox`, { mailbox: request.mailbox })) as Message;
}

export interface CopyMessage {
  address: string;
  id: string;
  mailbox: string;
}

/** Copy a message to a mailbox; no octet of it is stored twice. */
export async function copyMessage(call: Call, request: CopyMessage): Promise<Message> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/messages/${encodeURIComponent(request.id)}/copies`, { mailbox: request.mailbox })) as Message;
}

export interface FlagMessage {
  address: string;
  id: string;
  add?: string[];
  remove?: string[];
}

/** Set and take away flags of a message. */
export async function flagMessage(call: Call, request: FlagMessage): Promise<Message> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/messages/${encodeURIComponent(request.id)}/flags`, { add: request.add, remove: request.remove })) as Message;
}

export interface ListChanges {
  address: string;
  since?: number;
  limit?: number;
}

/** List what happened to an account's mail. */
export async function listChanges(call: Call, request: ListChanges): Promise<ChangeList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/changes` + query({ since: request.since, limit: request.limit }))) as ChangeList;
}

export interface ListQueue {
  after?: string;
  limit?: number;
  all?: boolean;
}

/** List messages that wait to leave. */
export async function listQueue(call: Call, request: ListQueue): Promise<Queue> {
  return (await call("GET", `/v1/queue` + query({ after: request.after, limit: request.limit, all: request.all }))) as Queue;
}

export interface RetryQueue {
  id?: string;
  domain?: string;
}

/** Try messages now: one, those for a domain, or all that wait. */
export async function retryQueue(call: Call, request: RetryQueue): Promise<QueueChange> {
  return (await call("POST", `/v1/queue/retry`, { id: request.id, domain: request.domain })) as QueueChange;
}

export interface ShowQueued {
  id: string;
}

/** Show one message, also when it is done with. */
export async function showQueued(call: Call, request: ShowQueued): Promise<QueuedMessage> {
  return (await call("GET", `/v1/queue/${encodeURIComponent(request.id)}`)) as QueuedMessage;
}

export interface HoldQueued {
  id: string;
}

/** Keep a message back until it is released. */
export async function holdQueued(call: Call, request: HoldQueued): Promise<QueueChange> {
  return (await call("POST", `/v1/queue/${encodeURIComponent(request.id)}/hold`)) as QueueChange;
}

export interface ReleaseQueued {
  id: string;
}

/** Let a message go that was kept back, by an operator or by its sender. */
export async function releaseQueued(call: Call, request: ReleaseQueued): Promise<QueueChange> {
  return (await call("POST", `/v1/queue/${encodeURIComponent(request.id)}/release`)) as QueueChange;
}

export interface RemoveQueued {
  id: string;
}

/** Take a message out; its sender is not told. */
export async function removeQueued(call: Call, request: RemoveQueued): Promise<QueueChange> {
  return (await call("DELETE", `/v1/queue/${encodeURIComponent(request.id)}`)) as QueueChange;
}

export interface AddDkim {
  domain: string;
  selector?: string;
}

/** Make keys that sign what leaves from a domain: RSA and Ed25519. */
export async function addDkim(call: Call, request: AddDkim): Promise<DkimKeys> {
  return (await call("POST", `/v1/dkim/${encodeURIComponent(request.domain)}`, { selector: request.selector })) as DkimKeys;
}

export interface ListDkim {
  domain?: string;
}

/** List the keys that sign mail. */
export async function listDkim(call: Call, request: ListDkim): Promise<DkimKeys> {
  return (await call("GET", `/v1/dkim` + query({ domain: request.domain }))) as DkimKeys;
}

export interface RotateDkim {
  domain: string;
  selector?: string;
  after?: number;
}

/** Make new keys that take over from a domain's present ones. */
export async function rotateDkim(call: Call, request: RotateDkim): Promise<DkimKeys> {
  return (await call("POST", `/v1/dkim/${encodeURIComponent(request.domain)}/rotate`, { selector: request.selector, after: request.after })) as DkimKeys;
}

export interface ShowDkimRecords {
  domain: string;
}

/** Show the DNS records to publish for a domain's keys. */
export async function showDkimRecords(call: Call, request: ShowDkimRecords): Promise<DnsRecords> {
  return (await call("GET", `/v1/dkim/${encodeURIComponent(request.domain)}/dns`)) as DnsRecords;
}

export interface RemoveDkim {
  domain: string;
  selector?: string;
}

/** Remove a domain's keys, or the pair with one selector. */
export async function removeDkim(call: Call, request: RemoveDkim): Promise<DkimRemoval> {
  return (await call("DELETE", `/v1/dkim/${encodeURIComponent(request.domain)}` + query({ selector: request.selector }))) as DkimRemoval;
}

export interface ListScripts {
  address: string;
}

/** List an account's filter scripts. */
export async function listScripts(call: Call, request: ListScripts): Promise<ScriptList> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/scripts`)) as ScriptList;
}

export interface GetScript {
  address: string;
  name: string;
}

/** Read a filter script. */
export async function getScript(call: Call, request: GetScript): Promise<ScriptText> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/scripts/${encodeURIComponent(request.name)}`)) as ScriptText;
}

export interface PutScript {
  address: string;
  name: string;
  text: string;
}

/** Store a filter script, in place of one of the same name. */
export async function putScript(call: Call, request: PutScript): Promise<ScriptVerdict> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/scripts/${encodeURIComponent(request.name)}`, { text: request.text })) as ScriptVerdict;
}

export interface CheckScript {
  address: string;
  text: string;
}

/** Tell whether a filter script would be stored. */
export async function checkScript(call: Call, request: CheckScript): Promise<ScriptVerdict> {
  return (await call("POST", `/v1/accounts/${encodeURIComponent(request.address)}/script-checks`, { text: request.text })) as ScriptVerdict;
}

export interface ActivateScript {
  address: string;
  name: string;
}

/** Let a script filter an account's mail from now on. */
export async function activateScript(call: Call, request: ActivateScript): Promise<ActiveScript> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/active-script`, { name: request.name })) as ActiveScript;
}

export interface DeactivateScripts {
  address: string;
}

/** Let no script filter an account's mail any more; all scripts stay. */
export async function deactivateScripts(call: Call, request: DeactivateScripts): Promise<ActiveScript> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/active-script`)) as ActiveScript;
}

export interface DeleteScript {
  address: string;
  name: string;
}

/** Delete a filter script; the active one is deactivated first. */
export async function deleteScript(call: Call, request: DeleteScript): Promise<Removal> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/scripts/${encodeURIComponent(request.name)}`)) as Removal;
}

export interface GetForward {
  address: string;
}

/** Tell where an account's mail goes on to. */
export async function getForward(call: Call, request: GetForward): Promise<Forward> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/forward`)) as Forward;
}

export interface SetForward {
  address: string;
  to: string[];
  keep: boolean;
}

/** Let an account's mail go on to other addresses. */
export async function setForward(call: Call, request: SetForward): Promise<Forward> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/forward`, { to: request.to, keep: request.keep })) as Forward;
}

export interface RemoveForward {
  address: string;
}

/** Let an account's mail go nowhere else any more. */
export async function removeForward(call: Call, request: RemoveForward): Promise<Removal> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/forward`)) as Removal;
}

export interface GetVacation {
  address: string;
}

/** Show the answer that an account's mail gets. */
export async function getVacation(call: Call, request: GetVacation): Promise<Vacation> {
  return (await call("GET", `/v1/accounts/${encodeURIComponent(request.address)}/vacation`)) as Vacation;
}

export interface SetVacation {
  address: string;
  from: string;
  to: string;
  subject: string;
  text: string;
}

/** Let an account's mail be answered while its owner is away. */
export async function setVacation(call: Call, request: SetVacation): Promise<Vacation> {
  return (await call("PUT", `/v1/accounts/${encodeURIComponent(request.address)}/vacation`, { from: request.from, to: request.to, subject: request.subject, text: request.text })) as Vacation;
}

export interface RemoveVacation {
  address: string;
}

/** Let an account's mail be answered no more. */
export async function removeVacation(call: Call, request: RemoveVacation): Promise<Removal> {
  return (await call("DELETE", `/v1/accounts/${encodeURIComponent(request.address)}/vacation`)) as Removal;
}

/** List the administrator's filter scripts. */
export async function listCommonScripts(call: Call): Promise<CommonScriptList> {
  return (await call("GET", `/v1/common-scripts`)) as CommonScriptList;
}

export interface GetCommonScript {
  place: string;
  name: string;
}

/** Read one of the administrator's filter scripts. */
export async function getCommonScript(call: Call, request: GetCommonScript): Promise<CommonScriptText> {
  return (await call("GET", `/v1/common-scripts/${encodeURIComponent(request.place)}/${encodeURIComponent(request.name)}`)) as CommonScriptText;
}

export interface PutCommonScript {
  place: string;
  name: string;
  text: string;
}

/** Store a filter script that runs before or after those of accounts, or that they may include. */
export async function putCommonScript(call: Call, request: PutCommonScript): Promise<ScriptVerdict> {
  return (await call("PUT", `/v1/common-scripts/${encodeURIComponent(request.place)}/${encodeURIComponent(request.name)}`, { text: request.text })) as ScriptVerdict;
}

export interface DeleteCommonScript {
  place: string;
  name: string;
}

/** Delete one of the administrator's filter scripts. */
export async function deleteCommonScript(call: Call, request: DeleteCommonScript): Promise<Removal> {
  return (await call("DELETE", `/v1/common-scripts/${encodeURIComponent(request.place)}/${encodeURIComponent(request.name)}`)) as Removal;
}

/** How the server is. */
export async function showStatus(call: Call): Promise<Status> {
  return (await call("GET", `/v1/status`)) as Status;
}

/** Begin to read everything stored at the configured pace; poplar status tells how far it is. */
export async function beginScrub(call: Call): Promise<Scrubbing> {
  return (await call("POST", `/v1/scrub`)) as Scrubbing;
}

/** The machine's clock is right, though it has jumped: forgetting goes on. */
export async function confirmClock(call: Call): Promise<Confirmation> {
  return (await call("POST", `/v1/clock/confirm`)) as Confirmation;
}
