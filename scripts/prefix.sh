# shellcheck shell=bash
# Builds a private prefix with a database server of another Debian release. It is sourced; the system is not touched: apt
# runs with its own state, cache and source list, and packages are unpacked, not installed. The mirror, the proxy and the
# keyring are those this machine's apt is configured with.
#
# Whoever sources it sets: me (the script's name), what (is built), suite, packages, root (the prefix), and defines
# prepare PREFIX (after unpacking), version PREFIX (prints the server's version or fails) and ready PREFIX.

work=$root.tmp
log=$root.log

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() {
  say "failed: $*"
  exit 1
}

# reason prints the last error apt or dpkg wrote, for the one line a person reads.
reason() {
  local line
  line=$(grep -E '^(E:|W:|dpkg)' "$log" | grep -E '^E:|dpkg' | tail -n 1 || true)
  printf '%s' "${line:-no error text}; all of it is in $log"
}

# mirror prints "URI<TAB>file:entry" of the Debian archive this machine's apt uses. apt knows which of its sources that is
# only once it has read their indexes; a fresh container has none, so then they are read aside.
mirror() {
  local aside=(-o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  archive && return
  mkdir -p "$work"/{lists/partial,cache/archives/partial}
  apt-get "${aside[@]}" -q update >>"$log" 2>&1 || true # one bad source of many does not matter here
  archive "${aside[@]}"
}

# archive asks apt for its sources and prints the first that calls itself Debian, or fails.
archive() {
  # shellcheck disable=SC2016 # apt expands these
  apt-get "$@" indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(SOURCESENTRY)' 'Created-By: Packages' 2>>"$log" |
    awk -F'|' '!found && $1 == "Debian" && $2 == "Debian" { print $3 "\t" $4; found = 1 } END { exit !found }'
}

# keyring prints the Signed-By value of a source entry, or the Debian archive keyring, or nothing: then apt uses its
# trusted keys.
keyring() {
  local file=${1%:*} by=""
  case $file in
    *.sources) by=$(awk -v n="${1##*:}" -v RS= 'NR == n' "$file" | sed -n 's/^[Ss]igned-[Bb]y:[[:space:]]*\(\/[^[:space:]]*\).*/\1/p') ;;
    *.list) by=$(sed -n "${1##*:}s/.*signed-by=\([^] ]*\).*/\1/p" "$file") ;;
  esac
  if [[ -z $by && -r /usr/share/keyrings/debian-archive-keyring.gpg ]]; then
    by=/usr/share/keyrings/debian-archive-keyring.gpg
  fi
  printf '%s' "$by"
}

# private_apt writes a configuration that keeps apt inside $work. It is read after the machine's own, so proxies,
# credentials and trust stay, while hooks that clean system directories do not run.
private_apt() {
  local uri=$1 by=$2 arch
  arch=$(dpkg --print-architecture)
  mkdir -p "$work"/apt/{state/lists/partial,cache/archives/partial}
  printf 'deb [arch=%s%s] %s %s main\n' "$arch" "${by:+ signed-by=$by}" "$uri" "$suite" >"$work/apt/sources.list"
  # No server runs perl; the stub keeps it, and all it needs, out of the download.
  printf 'Package: perl\nStatus: install ok installed\nMulti-Arch: allowed\nArchitecture: %s\nVersion: 99\nMaintainer: nobody\nDescription: stub\n\n' \
    "$arch" >"$work/apt/status"
  cat >"$work/apt/apt.conf" <<CONF
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear APT::Architectures;
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
Dir::Etc::SourceList "$work/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$work/apt/state";
Dir::State::lists "$work/apt/state/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
Dir::Cache::archives "$work/apt/cache/archives";
CONF
}

download() {
  apt-get -c "$work/apt/apt.conf" -q -o APT::Update::Error-Mode=any update >>"$log" 2>&1 || die "read the index of $suite: $(reason)"
  apt-get -c "$work/apt/apt.conf" -q -y --no-install-recommends --download-only install "${packages[@]}" >>"$log" 2>&1 ||
    die "download ${packages[*]}: $(reason)"
}

# loader prints the dynamic loader of a prefix, or fails: its C library is newer than this machine's.
loader() {
  local found
  found=$(find "$1/usr/lib" -maxdepth 2 -name 'ld-linux*.so.*' -print -quit 2>/dev/null) || return 1
  [[ -n $found ]] && printf '%s' "$found"
}

# wrap moves a program of a prefix aside and leaves a script in its place that runs it through the prefix's own loader.
wrap() {
  local prefix=$1 program=$2
  mkdir -p "$prefix/usr/libexec/baton"
  mv "$prefix/$program" "$prefix/usr/libexec/baton/$(basename "$program")" || die "${packages[*]} has no $program"
  cat >"$prefix/$program" <<'SCRIPT'
#!/bin/sh
# A program of this prefix, run through its own loader: its C library is newer than this machine's.
self=$(readlink -f "$0")
root=$(dirname "$(dirname "$(dirname "$self")")")
loader=$(find "$root"/usr/lib -maxdepth 2 -name 'ld-linux*.so.*' -print | head -n 1)
exec "$loader" --argv0 "$self" --library-path "$(dirname "$loader")" "$root/usr/libexec/baton/$(basename "$self")" "$@"
SCRIPT
  chmod 755 "$prefix/$program"
}

unpack() {
  local prefix=$work/prefix deb
  mkdir -p "$prefix"
  for deb in "$work"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$prefix" >>"$log" 2>&1 || die "unpack $(basename "$deb"): $(reason)"
  done
  prepare "$prefix"
  rm -rf "$prefix"/usr/share/{doc,man,info,locale,lintian,bug,perl,apport} "$prefix"/usr/lib/*/gconv "$prefix"/usr/{games,include} \
    "$prefix"/{etc,var} "$prefix"/usr/lib/mysql-test "$prefix"/usr/share/mysql-test
}

# build_prefix makes the prefix unless it is there; --refresh makes it again with what the archive has now.
build_prefix() {
  local refresh="" got uri="" entry="" have
  case ${1:-} in
    "") ;;
    --refresh) refresh=yes ;;
    *) die "unknown argument $1; the only one is --refresh" ;;
  esac
  mkdir -p "$(dirname "$root")" || die "make $(dirname "$root")"
  exec 9>"$root.lock" || die "open $root.lock"
  flock 9
  if [[ -z $refresh ]] && ready "$root" && have=$(version "$root"); then
    say "$what $have is in $root"
    return
  fi
  local tool
  for tool in apt-get dpkg dpkg-deb; do
    command -v "$tool" >/dev/null || die "this machine has no $tool; install $what yourself and put it in PATH"
  done
  rm -rf "$work"
  mkdir -p "$work"
  : >"$log"
  trap 'rm -rf "$work"' EXIT

  IFS=$'\t' read -r uri entry < <(mirror) || true
  [[ -n $uri ]] || die "this machine's apt knows no Debian archive; add one to its sources (see $log)"
  say "taking ${packages[*]} from $suite of the archive in ${entry%:*}"
  private_apt "$uri" "$(keyring "$entry")"
  download
  say "unpacking $(find "$work/apt/cache/archives" -name '*.deb' | wc -l) packages"
  unpack
  got=$(version "$work/prefix") || die "the server unpacked but does not run; see $log"
  rm -rf "$root.old"
  if [[ -e $root ]]; then mv "$root" "$root.old"; fi
  mv "$work/prefix" "$root"
  rm -rf "$root.old" "$log"
  say "$what $got is in $root ($(du -sm "$root" | cut -f1) MB)"
}
