# shellcheck shell=bash
# Shared by ./run and ./test: says what happens, and installs Debian packages. Sourced from the repository's root.
#
# A pipe's reader reads to the end (no `grep -q`, no `exit` in awk, no head): one that leaves early kills the writer with
# SIGPIPE, and under pipefail the script ends with 141.

say() { printf '%s\n' "$*" >&2; }
die() { explained=yes; say "${0##*/}: $*"; exit 1; }

# No script that sources this ends without a sentence: what `set -e` stops at is named with its line. A subshell's failure
# is told by the shell around it, which stops there too.
set -o errtrace
explained=no
trap 'stopped_at "$?" "${BASH_SOURCE[0]##*/}:$LINENO" "$BASH_COMMAND"' ERR
trap 'last_word "$?"' EXIT
stopped_at() {  # stopped_at STATUS PLACE COMMAND
  [ "$BASH_SUBSHELL" -eq 0 ] || return 0
  explained=yes
  say "${0##*/}: stopped at $2, because this failed with status $1: ${3%%$'\n'*}"
}
last_word() {  # last_word STATUS
  [ "$1" -eq 0 ] || [ "$explained" = yes ] || say "${0##*/}: ended with status $1"
}

# packages_of SECTION...: the packages that scripts/packages names in these sections.
packages_of() {
  local section
  for section in "$@"; do
    awk -v wanted="[$section]" '/^\[/ { inside = ($0 == wanted); next } inside && NF && !/^#/' scripts/packages
  done | sort -u
}

# missing_of PACKAGE...: those of them that are not installed. One dpkg-query, so that nothing to do costs nothing.
missing_of() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | awk '$1 == "installed" { print $2 }' || true)
  comm -23 <(printf '%s\n' "$@" | sort -u) <(printf '%s\n' "$installed" | sort -u)
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "there is no sudo; as root, run: $*"
  fi
}

# another_mta: the package of a mail server that installing Postfix would remove.
another_mta() {
  dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
    awk '$1 == "installed" && $2 != "postfix" && /mail-transport-agent/ && !found { found = 1; print $2 }'
}

# start_nothing PACKAGE...: tells Debian, before these are installed, that none is to make or start a server of its own:
# the tests start theirs.
start_nothing() {
  local cluster=/etc/postgresql-common/createcluster.conf
  case " $* " in
    *" postfix "*)
      # Without a configuration Debian's postfix does not start.
      as_root debconf-set-selections <<<"postfix postfix/main_mailer_type select No configuration" ||
        die "debconf does not take the choice for postfix" ;;
  esac
  case " $* " in
    *" slapd "*)
      as_root debconf-set-selections <<<"slapd slapd/no_configuration boolean true" ||
        die "debconf does not take the choice for slapd" ;;
  esac
  case " $* " in
    *" postgresql "*)
      [ -e "$cluster" ] || { as_root mkdir -p "${cluster%/*}" && as_root tee "$cluster" >/dev/null <<<"create_main_cluster = false"; } ||
        die "$cluster can't be written" ;;
  esac
}

# install_packages SECTION...: installs what is missing and says so. Never removes a package; starts no server.
install_packages() {
  command -v dpkg-query >/dev/null || die "this is made for Debian 12; elsewhere install what scripts/packages lists, and use cmake"
  local named missing package other wanted=()
  # Not by mapfile < <(...), which would take a failure for "nothing is missing". Packages have no spaces in their names.
  named=$(packages_of "$@")
  # shellcheck disable=SC2086
  missing=$(missing_of $named)
  [ -n "$missing" ] || return 0
  for package in $missing; do
    if [ "$package" = postfix ]; then
      other=$(another_mta)
      if [ -n "$other" ]; then
        say "Not installing postfix: it would replace $other. The tests with Postfix are skipped."
        continue
      fi
    fi
    wanted+=("$package")
  done
  [ "${#wanted[@]}" -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "packages are missing and there is no sudo. As root, run: apt-get --no-install-recommends install ${wanted[*]}"
  fi
  say "Installing Debian packages: ${wanted[*]}"
  start_nothing "${wanted[@]}"
  # Another apt-get may be at work, unattended-upgrades' for example.
  as_root apt-get -qq -o DPkg::Lock::Timeout=600 update || die "apt-get update failed"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confold \
    --no-remove --no-install-recommends \
    install "${wanted[@]}" >/dev/null || die "apt-get could not install: ${wanted[*]}"
}

# configure PRESET TESTS(ON|OFF): configures a build directory that is not, or not with the tests when they are wanted.
configure() {
  local preset=$1 tests=$2 cache=build/$1/CMakeCache.txt log=build/$1/configure.log
  if [ -f "build/$preset/build.ninja" ]; then
    [ "$tests" = OFF ] && return 0
    grep -q '^POPLAR_TESTS:BOOL=ON' "$cache" && return 0
  fi
  say "Configuring the $preset build"
  mkdir -p "build/$preset"
  cmake --preset "$preset" -DPOPLAR_TESTS="$tests" >"$log" 2>&1 || { cat "$log" >&2; die "cmake failed"; }
}
