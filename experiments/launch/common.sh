# What the launchers share; they source it.
# shellcheck shell=bash

dry_run=false

# Ends with a line that says what is wrong and how to mend it.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints the comment at the top of a script.
usage() {
  sed -n '2,/^$/s/^#\( \|$\)//p' "$1"
}

# Quotes words so that any shell reads them back as they are.
quoted() {
  local word text='' escaped="'\\''"
  for word; do
    if [[ ! $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
      word="'${word//\'/$escaped}'"
    fi
    text+="${text:+ }$word"
  done
  printf '%s' "$text"
}

# Shows a command as it could be typed, and runs it unless --dry-run is given.
run() {
  if "$dry_run"; then
    printf '%s\n' "$(quoted "$@")"
  else
    printf '%s\n' "$(quoted "$@")" >&2
    "$@"
  fi
}
