packed() {
  command -v gzip >/dev/null 2>&1 || { "$@"; return; }
  exec 4>&1
  status=$({ { "$@" 3>&- 4>&-; echo $? >&3; } | gzip -c -1 3>&- >&4; } 3>&1)
  return "$status"
}
