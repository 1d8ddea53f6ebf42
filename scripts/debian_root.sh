# Makes a root filesystem with debootstrap; sourced by test-313 and image-test.

# debian_root SUITE FOLDER PACKAGES: from the mirror that this machine uses, if it is a Debian.
debian_root() {
    local mirror
    mirror=$(find /etc/apt/sources.list /etc/apt/sources.list.d -type f -exec cat {} + 2>/dev/null |
        sed -nE 's/^(URIs:|deb) +(\[[^]]*\] +)?(https?:[^ ]*\/debian\/?)( .*)?$/\3/p' | head -n 1) || true
    debootstrap --variant=minbase --include="$3" "$1" "$2" ${mirror:+"$mirror"} >/dev/null
}

# copy_network_files ROOT FILES: what package installers need from this machine, where it exists.
copy_network_files() {
    local root=$1 file
    shift
    for file; do
        if [[ -e $file ]]; then install -D --mode 644 "$(realpath "$file")" "$root$file"; fi
    done
}
