# shellcheck shell=bash
# Sourced by ./demo and ./check, which set $root: installs what a Debian machine lacks, and builds.

# Without colours or questions; quiet unless something fails.
die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

# Runs a command, showing its output only if it fails.
quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	[ "$status" -eq 0 ] || cat "$log" >&2
	rm -f "$log"
	return "$status"
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null || die "not root, and sudo is not installed: run as root: $*"
		sudo "$@"
	fi
}

# Installs those of the named Debian packages that are missing.
install_missing() {
	local package missing=()
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || die "this system is not Debian; install what stands for: ${missing[*]}"
	echo "installing ${missing[*]}"
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q ||
		die "apt-get update failed"
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" ||
		die "could not install ${missing[*]}"
}

# shellcheck disable=SC2034 # used by both
build_packages=(build-essential cmake pkg-config libfuse3-dev fuse3 libcurl4-openssl-dev libcjson-dev
	libuv1-dev libinih-dev libmicrohttpd-dev ca-certificates)

# build DIR CMAKE-OPTION...
# shellcheck disable=SC2154 # root
build() {
	local dir=$1
	shift
	quietly cmake -S "$root" -B "$dir" "$@" || die "cmake failed in $dir"
	quietly cmake --build "$dir" -j "$(nproc)" || die "the build in $dir failed"
}
