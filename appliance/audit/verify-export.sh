#!/bin/sh
# Verify an export of a Lockgate station's audit log, and say what crossed, who signed and who released.
#
#   sh verify-export.sh [--site NAME] [--head HEAD] [--from DAY] [--until DAY] AUDIT.pem EXPORT
#
# AUDIT.pem is the station's audit key, and never one that came with the export. --site and --head say which station and
# which head of the log are expected. --from and --until (YYYY-MM-DD; the second is not included) limit what is listed,
# never what is verified. Needs a POSIX shell and awk, openssl, sha256sum, and ssh-keygen where an SSH key signed.
#
# The last line is the verdict. Exit status: 0 everything holds; 1 it could not be read, or a tool is missing; 2 wrong
# usage; 3 something does not hold, or it is another key's or station's; 4 what was checked holds, but something was not
# checked.
# It stops at the first thing that does not hold.
set -eu
LC_ALL=C
export LC_ALL
unset CDPATH
umask 077

tmp='' verdict='' step='the arguments' nl='
'

# Ends with a verdict. Whatever ends the script in another way ends it with a failure.
finish() {
  printf 'verdict: %s\n' "$2" | tr -cd '[:print:]\n'
  verdict=yes
  exit "$1"
}
fail() { finish 3 "FAILED at $step: $*"; }
unusable() { finish 2 "NOT VERIFIED: $*"; }
another() { finish 3 "NOT VERIFIED: $*"; }
broken() { finish 1 "NOT VERIFIED: $*"; }
say() { printf '%s\n' "$*" | tr -cd '[:print:]\n'; }
ended() {
  status=$?
  trap - EXIT
  [ -z "$tmp" ] || rm -rf -- "$tmp"
  if [ -z "$verdict" ]; then
    printf 'verdict: NOT VERIFIED: stopped at %s\n' "$step"
    case $status in 0 | 126 | 127) status=1 ;; esac # the latter two: a tool is missing, or cannot be run
  fi
  exit "$status"
}
trap ended EXIT
trap 'exit 1' HUP INT TERM

site='' head='' from='' until=''
while [ $# -gt 0 ]; do
  case $1 in
    --site | --head | --from | --until)
      [ $# -ge 2 ] || unusable "$1 needs a value"
      # Of a variable that is not set: nothing would be held against it.
      [ -n "$2" ] || unusable "$1 has an empty value"
      case $1 in
        --site) site=$2 ;;
        --head) head=$2 ;;
        --from) from=$2 ;;
        --until) until=$2 ;;
      esac
      shift 2
      ;;
    --) shift && break ;;
    -*) unusable "unknown option $1" ;;
    *) break ;;
  esac
done
[ $# -eq 2 ] || unusable 'usage: verify-export.sh [--site NAME] [--head HEAD] [--from DAY] [--until DAY] AUDIT.pem EXPORT'
for tool in awk cat cp cut find grep head mktemp od openssl rm sed sha256sum sort split tail tr uniq wc xargs; do
  command -v "$tool" > /dev/null || broken "$tool is missing"
done
for day in "$from" "$until"; do
  case $day in
    '' | [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]) ;;
    *) unusable "not a day as YYYY-MM-DD: $day" ;;
  esac
  [ -z "$day" ] || awk -v day="$day" 'BEGIN {
    split(day, part, "-"); year = part[1] + 0; month = part[2] + 0
    days = month == 2 ? 28 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) : 30 + (month == 1 || month == 3 || month == 5 || month == 7 || month == 8 || month == 10 || month == 12)
    exit !(month >= 1 && month <= 12 && part[3] + 0 >= 1 && part[3] + 0 <= days)
  }' || unusable "not a day of the calendar: $day"
done
# As numbers: 20260101. Of equal days nothing is in between, since the second is not included.
if [ -n "$from" ] && [ -n "$until" ] && [ "$(echo "$until" | tr -d -)" -le "$(echo "$from" | tr -d -)" ]; then
  unusable "--until $until is not after --from $from (the day of --until is not included)"
fi
[ -f "$1" ] || unusable "no such key file: $1"
[ -d "$2" ] || unusable "no such folder: $2"
tmp=$(mktemp -d) || broken 'no temporary folder'
cat < "$1" > "$tmp/audit.pem" || broken "cannot read $1"
case $2 in /*) export=$2 ;; *) export=./$2 ;; esac
cd "$export" || broken "cannot read $2"

digest() { sha256sum < "$1" | cut -d' ' -f1; }

# read_key FILE NAME: the key's parts go to NAME.1.pem and NAME.2.pem, its algorithm and id to $algorithm and $keyid.
read_key() {
  algorithm='' keyid=''
  if head -n 1 "$1" | grep -Eq '^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( |$)'; then
    head -n 1 "$1" | cut -d' ' -f1,2 > "$tmp/$2.ssh"
    cut -d' ' -f2 < "$tmp/$2.ssh" | openssl base64 -d -A > "$tmp/$2.der" || return 1
    algorithm=ssh
  else
    awk -v out="$tmp/$2" '
      { sub(/\r$/, "") }
      /^-----BEGIN PUBLIC KEY-----$/ { if (inside || ++n > 2) bad = 1; inside = 1 }
      inside { print > (out "." n ".pem") }
      !inside && $0 != "" { bad = 1 }
      /^-----END PUBLIC KEY-----$/ { if (inside) close(out "." n ".pem"); inside = 0 }
      END { exit bad || inside || !n }' "$1" || return 1
    : > "$tmp/$2.der"
    for part in "$tmp/$2".[12].pem; do
      sed '/^-----/d' "$part" | openssl base64 -d > "$tmp/part.der" || return 1
      cat "$tmp/part.der" >> "$tmp/$2.der"
      case $(od -An -v -tx1 < "$tmp/part.der" | tr -d ' \n') in
        3059301306072a8648ce3d020106082a8648ce3d030107034200*) kind=ecdsa-p256 ;;
        3076301006072a8648ce3d020106052b8104002203620004*) kind=ecdsa-p384 ;;
        302a300506032b6570032100*) kind=ed25519 ;;
        3082????300d06092a864886f70d0101010500*) kind=rsa ;;
        3082????300b0609608648016503040313*) kind=ml-dsa-87 ;;
        *) return 1 ;;
      esac
      algorithm=${algorithm:+$algorithm+}$kind
    done
    case $algorithm in
      ecdsa-p256 | ecdsa-p384 | ed25519 | rsa | ecdsa-p384+ml-dsa-87) ;;
      *) return 1 ;;
    esac
  fi
  keyid=$(digest "$tmp/$2.der" | cut -c1-16)
}

# What these tools cannot check, a line each.
: > "$tmp/unchecked"
has_mldsa=$(openssl list -public-key-algorithms 2> /dev/null | grep -ci 'ML-DSA-87' || :)
has_rawin=$(openssl pkeyutl -help 2>&1 | grep -c -e '-rawin' || :)
has_ssh=$(command -v ssh-keygen || :)
version=$(openssl version | cut -d' ' -f1,2)

# holds NAME ALGORITHM KEYID STEM DATA: whether the files STEM.KEYID.* are the key's signature over DATA.
holds() {
  rm -f "$tmp/s.sig" "$tmp/s.sshsig" "$tmp/s.mldsa"
  kinds=''
  for kind in sig sshsig mldsa; do
    [ -f "$4.$3.$kind" ] || continue
    cat < "$4.$3.$kind" > "$tmp/s.$kind" || return 1
    kinds="$kinds $kind"
  done
  # Exports of earlier versions keep a decision's signature in one file, whatever the key.
  if [ "$kinds" = ' sig' ] && [ "$2" = ssh ]; then
    cp "$tmp/s.sig" "$tmp/s.sshsig" && kinds=' sshsig'
  elif [ "$kinds" = ' sig' ] && [ "$2" = ecdsa-p384+ml-dsa-87 ]; then
    size=$(wc -c < "$tmp/s.sig")
    [ "$size" -gt 4627 ] || return 1
    tail -c 4627 "$tmp/s.sig" > "$tmp/s.mldsa"
    head -c $((size - 4627)) "$tmp/s.sig" > "$tmp/s.half" && cat "$tmp/s.half" > "$tmp/s.sig"
    kinds=' sig mldsa'
  fi
  case $2:$kinds in
    'ecdsa-p256: sig' | 'rsa: sig')
      openssl dgst -sha256 -verify "$tmp/$1.1.pem" -signature "$tmp/s.sig" "$5" > /dev/null 2>&1 || return 1
      ;;
    'ecdsa-p384: sig' | 'ecdsa-p384+ml-dsa-87: sig mldsa')
      openssl dgst -sha384 -verify "$tmp/$1.1.pem" -signature "$tmp/s.sig" "$5" > /dev/null 2>&1 || return 1
      ;;
    'ed25519: sig')
      if [ "$has_rawin" -gt 0 ]; then
        openssl pkeyutl -verify -pubin -inkey "$tmp/$1.1.pem" -rawin -in "$5" -sigfile "$tmp/s.sig" > /dev/null 2>&1 || return 1
      else
        echo "an Ed25519 signature ($version is too old, 3.0 or later checks it)" >> "$tmp/unchecked"
      fi
      ;;
    'ssh: sshsig')
      if [ -n "$has_ssh" ]; then
        printf '%s %s\n' "$3" "$(cat "$tmp/$1.ssh")" > "$tmp/allowed"
        ssh-keygen -Y verify -f "$tmp/allowed" -I "$3" -n lockgate -s "$tmp/s.sshsig" < "$5" > /dev/null 2>&1 || return 1
      else
        echo 'an SSH signature (ssh-keygen is missing)' >> "$tmp/unchecked"
      fi
      ;;
    *) return 1 ;;
  esac
  case $2 in
    *ml-dsa-87)
      [ "$(wc -c < "$tmp/s.mldsa")" -eq 4627 ] || return 1
      if [ "$has_mldsa" -gt 0 ]; then
        openssl pkeyutl -verify -pubin -inkey "$tmp/$1.2.pem" -rawin -in "$5" -sigfile "$tmp/s.mldsa" > /dev/null 2>&1 || return 1
      else
        echo "the ML-DSA half of a hybrid signature ($version is too old, 3.5 or later checks it)" >> "$tmp/unchecked"
      fi
      ;;
  esac
  return 0
}

# signers STEM: the key ids of the signature files over STEM, one a line.
signers() {
  for one in "$1".*; do
    case $one in
      "$1".*.sig | "$1".*.sshsig | "$1".*.mldsa) one=${one#"$1".} && printf '%s\n' "${one%.*}" ;;
    esac
  done | sort -u
}

# member JSON-FILE NAME: the text of a string member of the outermost object of the one JSON object in a file.
member() {
  awk -v name="$2" '
    {
      key = "\"" name "\":\""; size = length($0); depth = 0; i = 1
      while (i <= size) {
        c = substr($0, i, 1)
        if (c == "\"") {
          if (depth == 1 && substr($0, i, length(key)) == key) {
            rest = substr($0, i + length(key))
            if (match(rest, /^([^"\\]|\\.)*"/)) print substr(rest, 1, RLENGTH - 1)
            exit
          }
          rest = substr($0, i + 1); match(rest, /^([^"\\]|\\.)*"/); i += RLENGTH
        } else if (c == "{" || c == "[") depth++
        else if (c == "}" || c == "]") depth--
        i++
      }
    }' "$1"
}

step='the audit key'
read_key "$tmp/audit.pem" audit || unusable "$1 is not a public key of a kind that a station has"
audit_id=$keyid audit_algorithm=$algorithm

step='the signature of SHA256SUMS'
if [ ! -f SHA256SUMS ] || [ -L SHA256SUMS ]; then
  fail 'there is no SHA256SUMS: not an export, or a cut one'
fi
others=$(signers SHA256SUMS)
case $nl$others$nl in
  *"$nl$audit_id$nl"*) [ "$others" = "$audit_id" ] || fail "another key signed SHA256SUMS besides: $(printf '%s' "$others" | tr '\n' ' ')" ;;
  *"$nl$nl") fail 'SHA256SUMS has no signature' ;;
  *) another "the wrong key: SHA256SUMS is signed by key $(printf '%s' "$others" | tr '\n' ' '), and you gave key $audit_id" ;;
esac
holds audit "$audit_algorithm" "$audit_id" SHA256SUMS SHA256SUMS || fail "it is not of key $audit_id over this SHA256SUMS"
say "[ok] SHA256SUMS is signed by the audit key $audit_id ($audit_algorithm)"

step='the files'
[ -z "$(find . ! -type d ! -type f | head -n 1)" ] || fail "not a plain file: $(find . ! -type d ! -type f | head -n 1)"
[ -z "$(find . -name '*[!A-Za-z0-9._-]*' | head -n 1)" ] ||
  fail "a file name that no export has: $(find . -name '*[!A-Za-z0-9._-]*' | head -n 1)"
awk '!/^[0-9a-f]+  [A-Za-z0-9][A-Za-z0-9._\/-]*$/ || length($1) != 64 || /\/\.\.?(\/|$)/ { exit 1 }' SHA256SUMS ||
  fail 'SHA256SUMS has a line that no export has'
find . -type f | sed 's|^\./||' | grep -v '^SHA256SUMS$' |
  grep -Ev "^SHA256SUMS\\.$audit_id\\.(sig|sshsig|mldsa)\$" | sort > "$tmp/here"
cut -c67- < SHA256SUMS | sort > "$tmp/listed"
[ -z "$(uniq -d "$tmp/listed")" ] || fail 'SHA256SUMS names a file twice'
missing=$(awk 'NR == FNR { here[$0]; next } !($0 in here)' "$tmp/here" "$tmp/listed" | head -n 1)
[ -z "$missing" ] || fail "a file is missing, the export was cut: $missing"
beside=$(awk 'NR == FNR { listed[$0]; next } !($0 in listed)' "$tmp/listed" "$tmp/here" | head -n 1)
[ -z "$beside" ] || fail "a file that SHA256SUMS does not name: $beside"
sha256sum -c --strict --quiet SHA256SUMS > "$tmp/wrong" 2>&1 || fail "changed: $(head -n 1 "$tmp/wrong")"
say "[ok] files: $(wc -l < "$tmp/listed" | tr -d ' '), each the one that SHA256SUMS names, and no other"

step='the checkpoints'
[ -s checkpoints.jsonl ] || fail 'there is none'
# hash_lines FILE: writes each line's sha256 to $tmp/hashes, in order; every line must end.
hash_lines() {
  rm -rf "$tmp/lines" && mkdir "$tmp/lines" && : > "$tmp/hashes"
  [ -s "$1" ] || return 0
  [ -z "$(tail -c 1 "$1")" ] || fail "the last line of $1 is cut off"
  split -l 1 -a 5 -- "$1" "$tmp/lines/"
  (cd "$tmp/lines" && find . -type f | sort | xargs sha256sum) | cut -d' ' -f1 > "$tmp/hashes"
}
hash_lines checkpoints.jsonl
awk '
  function value(text, name,   from) {
    if (!match(text, "\"" name "\":(null|\"[^\"]*\"|[0-9]+)")) return "?"
    from = length(name) + 4
    return substr(text, RSTART + from - 1, RLENGTH - from + 1)
  }
  NR == FNR { hash[FNR] = $1; next }
  {
    if ($0 !~ /^\{"checkpoint":\{"created":"[^"]*",.*\},"keyid":"[0-9a-f]+","signature":"[A-Za-z0-9+\/=]+"\}$/) { print FNR; exit }
    tail = $0; sub(/^.*\],"number":/, "\"number\":", tail)
    previous = FNR == 1 ? "null" : "\"" hash[FNR - 1] "\""
    if (value(tail, "number") != FNR || value(tail, "previous") != previous) { print FNR; exit }
  }' "$tmp/hashes" checkpoints.jsonl > "$tmp/wrong"
[ ! -s "$tmp/wrong" ] || fail "checkpoint $(cat "$tmp/wrong") does not follow the one before it"
tail -n 1 checkpoints.jsonl > "$tmp/last"
signed_id=$(sed -n 's/.*},"keyid":"\([0-9a-f]*\)","signature":"[^"]*"}$/\1/p' "$tmp/last")
[ "$signed_id" = "$audit_id" ] || fail "the last one names key $signed_id, not the audit key"
sed 's/^{"checkpoint":\(.*\),"keyid":"[0-9a-f]*","signature":"[^"]*"}$/\1/' "$tmp/last" | tr -d '\n' > "$tmp/checkpoint"
sed 's/.*,"signature":"\([^"]*\)"}$/\1/' "$tmp/last" | tr -d '\n' | openssl base64 -d -A > "$tmp/c.$audit_id.sig" ||
  fail 'a signature that is no base64'
holds audit "$audit_algorithm" "$audit_id" "$tmp/c" "$tmp/checkpoint" || fail 'the signature of the last one does not hold'
of=$(member "$tmp/checkpoint" site)
if [ -n "$site" ] && [ "$site" != "$of" ]; then
  another "the wrong site: this is an export of station $of, and you asked for $site"
fi
! grep -q '"refused":\[{' "$tmp/checkpoint" ||
  fail "the station refused to sign a lane to its end, since it did not write it: $(sed 's/.*"refused":\(\[[^]]*\]\).*/\1/' "$tmp/checkpoint")"
# Earlier audit keys, as the last checkpoint names them: they may have signed cuts.
sed -n 's/.*"former":\["\([^]]*\)"\],"lanes".*/\1/p' "$tmp/checkpoint" | awk '{ gsub(/","/, "\n\n"); gsub(/\\n/, "\n"); print }' |
  awk -v out="$tmp/former." 'BEGIN { n = 1 } /^$/ { if (seen) { n++; seen = 0 }; next } { seen = 1; print > (out n) }'
printf '%s %s audit\n' "$audit_id" "$audit_algorithm" > "$tmp/audit_keys"
for one in "$tmp"/former.*; do
  [ -f "$one" ] || continue
  number=${one##*.}
  read_key "$one" "was$number" || fail 'it names an earlier audit key that is none'
  printf '%s %s was%s\n' "$keyid" "$algorithm" "$number" >> "$tmp/audit_keys"
done
# What each says of each lane: checkpoint, lane, event, hash, from which event on MACs are required.
awk '
  {
    text = $0; sub(/^.*"lanes":\[/, "", text); sub(/\],"number":.*$/, "", text)
    count = split(text, part, /\},?/)
    for (i = 1; i <= count; i++) if (part[i] != "") {
      lane = seq = head = ""; sealed = 0
      if (match(part[i], /"lane":[0-9]+/)) lane = substr(part[i], RSTART + 7, RLENGTH - 7)
      if (match(part[i], /"seq":[0-9]+/)) seq = substr(part[i], RSTART + 6, RLENGTH - 6)
      if (match(part[i], /"head":"[0-9a-f]+"/)) head = substr(part[i], RSTART + 8, RLENGTH - 9)
      if (match(part[i], /"sealed":[0-9]+/)) sealed = substr(part[i], RSTART + 9, RLENGTH - 9)
      if (lane == "" || seq == "" || head == "") exit 1
      print FNR, lane + 0, seq + 0, head, (index($0, "\"sealed\":true") ? sealed + 0 : -1)
    }
  }' checkpoints.jsonl > "$tmp/heads" || fail 'one that no station writes'
awk '{ print NR "-" $1 }' "$tmp/hashes" > "$tmp/names"
last_head=$(tail -n 1 "$tmp/names")
if [ -n "$head" ]; then
  grep -Fqx -- "$head" "$tmp/names" || fail "the log does not hold the head $head: its end was cut, or the head is another log's"
fi
say "[ok] checkpoints: $(wc -l < checkpoints.jsonl | tr -d ' '), each names the one before, and the audit key signed the last"

step='the lanes'
ls lanes > "$tmp/names_of_lanes" 2> /dev/null || fail 'there is none'
! grep -Ev '^[0-9][0-9]\.[0-9][0-9][0-9][0-9][0-9][0-9]\.jsonl$' "$tmp/names_of_lanes" > "$tmp/wrong" ||
  fail "a file that is no lane: $(head -n 1 "$tmp/wrong")"
: > "$tmp/events" && : > "$tmp/cut_lines"
for file in lanes/*.jsonl; do
  hash_lines "$file"
  # One line an event: segment, its line, lane, event, hash, prev, mac, micros, act, time.
  awk -v name="${file##*/}" '
    function number(name) { return match(rest, "\"" name "\":[0-9]+") ? substr(rest, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : "" }
    function text(name) { return match(rest, "\"" name "\":\"[0-9a-z]*\"") ? substr(rest, RSTART + length(name) + 4, RLENGTH - length(name) - 5) : "" }
    NR == FNR { hash[FNR] = $1; next }
    {
      if ($0 !~ /^\{"act":"[^"\\ ]+","actor":"/ || !match($0, /,"lane":[0-9]+,("mac":"[0-9a-f]+",)?"micros":[0-9]+,"outcome":"[a-z]+","pid":[0-9]+,"prev":"[0-9a-f]+","seq":[0-9]+,"thing":"([^"\\]|\\.)*","time":"[0-9TZ:-]+"\}$/)) {
        print "bad", FNR; exit
      }
      rest = substr($0, RSTART); act = substr($0, 9); sub(/".*/, "", act)
      mac = text("mac"); time = rest; sub(/^.*"time":"/, "", time); sub(/"}$/, "", time)
      print name, FNR, number("lane"), number("seq"), hash[FNR], text("prev"), (mac == "" ? "-" : mac), number("micros"), act, time
    }' "$tmp/hashes" "$file" > "$tmp/found"
  ! grep -q '^bad' "$tmp/found" || fail "$file line $(sed -n 's/^bad //p' "$tmp/found"): not an event as a station writes it"
  cat "$tmp/found" >> "$tmp/events"
  sed -n '/^{"act":"audit\.prune",.*,"outcome":"done","pid":/p' "$file" >> "$tmp/cut_lines"
done
[ -s "$tmp/events" ] || fail 'there is no event'
# Cuts: where a lane begins after a prune, signed by the audit key or an earlier one.
: > "$tmp/cuts" && : > "$tmp/earlier"
while IFS= read -r line; do
  printf '%s\n' "$line" > "$tmp/cut_line"
  by=$(sed -n 's/.*,"detail":{"cut":{.*},"keyid":"\([0-9a-f]*\)","signature":"[^"]*"},"lane":.*/\1/p' "$tmp/cut_line")
  key=$(awk -v id="${by:--}" '$1 == id { print $2, $3; exit }' "$tmp/audit_keys")
  [ -n "$key" ] || fail 'a prune that no audit key of this station signed'
  sed 's/.*,"detail":{"cut":\({.*}\),"keyid":"[0-9a-f]*","signature":"[^"]*"},"lane":.*/\1/' "$tmp/cut_line" | tr -d '\n' > "$tmp/cut"
  sed 's/.*,"keyid":"[0-9a-f]*","signature":"\([^"]*\)"},"lane":.*/\1/' "$tmp/cut_line" | tr -d '\n' |
    openssl base64 -d -A > "$tmp/c.$by.sig" || fail 'a prune whose signature is no base64'
  holds "${key#* }" "${key% *}" "$by" "$tmp/c" "$tmp/cut" || fail 'the signature of a prune does not hold'
  if [ "$(member "$tmp/cut" site)" != "$of" ] || [ "$(member "$tmp/cut" type)" != org.lockgate.audit-cut.v1 ]; then
    fail 'a prune of another station'
  fi
  awk '
    {
      sub(/^.*"lanes":\[/, ""); count = split($0, part, /\{"first":/)
      for (i = 2; i <= count; i++) {
        if (part[i] !~ /^[0-9]+,"from":[0-9]+,"lane":[0-9]+,"prev":"[0-9a-f]+",/) exit 1
        split(part[i], field, /[:,"]+/)
        print field[5] + 0, field[1] + 0, field[3] + 0, field[7]
      }
    }' "$tmp/cut" >> "$tmp/cuts" || fail 'a prune that no station writes'
  printf '%s %s\n' "$(member "$tmp/cut" sums)" "$(member "$tmp/cut" head)" >> "$tmp/earlier"
done < "$tmp/cut_lines"
awk -v cuts="$tmp/cuts" -v heads="$tmp/heads" -v signed="$(member "$tmp/checkpoint" created)" '
  function stop(what) { if (!failed) print what; failed = 1; exit }
  BEGIN {
    zeros = sprintf("%064d", 0)
    while ((getline line < cuts) > 0) { split(line, f, " "); cut[f[1] " " f[2] " " f[3] " " f[4]] = 1 }
    while ((getline line < heads) > 0) {
      split(line, f, " ")
      if (f[5] >= 0) { seals = 1; if (!(f[2] in sealed)) sealed[f[2]] = f[5] }
      n++; number[n] = f[1]; of[n] = f[2]; at[n] = f[3]; said[n] = f[4]; asked[f[2] " " f[3]] = 1
    }
  }
  {
    split($1, piece, "."); lane = piece[1] + 0; segment = piece[2] + 0
    where = $1 " line " $2 ": "
    if ($3 + 0 != lane) stop(where "an event of another lane")
    if (length($5) != 64 || length($6) != 64) stop(where "not an event as a station writes it")
    if (!(lane in seq)) {
      if (segment > 1 || $4 != 1 || $6 != zeros) {
        if (!((lane " " segment " " ($4 + 0) " " $6) in cut)) stop(where "the events before it were removed, and no signed cut says so")
        begins[lane] = $4 + 0; gone[lane] = $6
      }
      first[lane] = $4 + 0; since[lane] = $10
    } else {
      if (segment != file[lane] && segment != file[lane] + 1) stop("lanes/" $1 ": the segment before it was removed")
      if ($4 != seq[lane] + 1) stop(where "events were removed, inserted or moved before it")
      if ($6 != hash[lane]) stop(where "the event before it was changed")
      if ($8 < micros[lane] - 5000000 && $9 != "clock.set-back") stop(where "it is older than the event before it, and no event says why")
    }
    if (!seals && $7 != "-") stop("checkpoints.jsonl: events carry MACs and no checkpoint says so: checkpoints were removed")
    if (seals && $4 >= ((lane in sealed) ? sealed[lane] : 1) && $7 == "-") stop(where "the station did not write this event: it has no MAC")
    seq[lane] = $4 + 0; hash[lane] = $5; micros[lane] = $8; file[lane] = segment; events++
    if ((lane " " ($4 + 0)) in asked) at_head[lane " " ($4 + 0)] = $5
  }
  END {
    if (failed) exit
    for (i = 1; i <= n; i++) {
      key = of[i] " " at[i]
      if (of[i] in begins && at[i] < begins[of[i]]) {
        if (at[i] == begins[of[i]] - 1 && said[i] != gone[of[i]]) stop("lane " of[i] ": the last event that a cut removed is not the one that checkpoint " number[i] " saw")
        continue
      }
      if (!(key in at_head)) stop("lane " of[i] ": its end was cut: checkpoint " number[i] " saw event " at[i])
      if (at_head[key] != said[i]) stop("lane " of[i] ": event " at[i] " is not the one that checkpoint " number[i] " saw")
      if (number[i] == number[n]) covered[of[i]] = at[i]
    }
    for (lane in seq) {
      if (!(lane in covered) && since[lane] < signed) stop("lane " lane ": it begins at " since[lane] ", and no checkpoint since knows it")
      uncovered += seq[lane] - covered[lane]
      print "ok lane " lane ": events " first[lane] " to " seq[lane] " follow one another"
    }
    print "uncovered " uncovered + 0
    for (lane in begins) print "begins " lane " " begins[lane]
  }' "$tmp/events" > "$tmp/lanes"
if grep -Evq '^(ok|uncovered|begins) ' "$tmp/lanes" || [ ! -s "$tmp/lanes" ]; then
  fail "$(grep -Ev '^(ok|uncovered|begins) ' "$tmp/lanes" | head -n 1)"
fi
sed -n 's/^ok \(.*\)/[ok] \1/p' "$tmp/lanes" | sort
uncovered=$(sed -n 's/^uncovered //p' "$tmp/lanes")

step='what crossed'
# TIME ACT THING DIGEST by ACTOR; what was taken back at once is left out.
for file in lanes/*.jsonl; do
  grep -E '^\{"act":"intake\.(import|release|withdraw|reject)"' "$file" || :
done | awk -v from="$from" -v until="$until" -v released="$tmp/released" '
  function text(name,   found) {
    if (!match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return "-"
    found = substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
    return found
  }
  {
    act = text("act"); actor = text("actor"); digest = text("digest")
    thing = $0; sub(/^.*,"seq":[0-9]+,"thing":"/, "", thing); sub(/","time":"[^"]*"}$/, "", thing)
    time = $0; sub(/^.*","time":"/, "", time); sub(/"}$/, "", time)
    key = act " " thing
    if ($0 ~ /,"outcome":"done","pid":/) { n++; line[n] = time " " act " " thing " by " actor " " digest; day[n] = substr(time, 1, 10); last[key] = n; if (act == "intake.release") shown[n] = digest }
    else if ($0 ~ /[{,]"takes_back":true[,}]/ && key in last) { delete line[last[key]]; delete shown[last[key]]; delete last[key] }
  }
  END {
    for (i = 1; i <= n; i++) if (i in shown) print shown[i] > released
    for (i = 1; i <= n; i++) if (i in line && (from == "" || day[i] >= from) && (until == "" || day[i] < until)) print line[i]
  }' | sort > "$tmp/crossed"
tr -cd '[:print:]\n' < "$tmp/crossed"
[ -f "$tmp/released" ] || : > "$tmp/released"

# known_key KEYID PURPOSE: reads keys/KEYID.pem, which must have that id, into $tmp/pinned*; $who says whose it is.
# Returns 1 where the export has no such key.
known_key() {
  rm -f "$tmp"/pinned.*
  [ -f "keys/$1.pem" ] || return 1
  read_key "keys/$1.pem" pinned || fail "keys/$1.pem is not a public key"
  [ "$keyid" = "$1" ] || fail "keys/$1.pem is another key, $keyid"
  who=$1
  if [ -f "keys/$1.json" ]; then
    grep -Eq "\"purposes\":\[[^]]*\"$2\"" "keys/$1.json" || fail "key $1 was not pinned for $2"
    who="$(member "keys/$1.json" owner) ($1)"
    ! grep -q '"revoked":{' "keys/$1.json" || who="$who, revoked since"
  fi
}

step='the bundles'
absent=0 bundles=0
: > "$tmp/approved" && : > "$tmp/digests" && : > "$tmp/decided"
for folder in bundles/*/; do
  [ -d "$folder" ] || continue
  folder=${folder%/} name=${folder#bundles/} bundles=$((bundles + 1))
  step="bundle $name"
  if [ ! -f "$folder/SHA256SUMS" ] || [ ! -f "$folder/manifest.json" ]; then
    fail 'its SHA256SUMS or manifest.json is missing'
  fi
  sum=$(digest "$folder/SHA256SUMS")
  [ "$(printf '%s' "$sum" | cut -c1-12)" = "${name##*-}" ] || fail 'its SHA256SUMS is not the one that its name says'
  [ "$(head -n 1 "$folder/SHA256SUMS")" = "$(digest "$folder/manifest.json")  manifest.json" ] ||
    fail 'its manifest.json is not the one that was signed'
  printf 'sha256:%s\n' "$sum" >> "$tmp/digests"
  sed -n 's/.*"signers":\[\("[0-9a-f"]*\(,"[0-9a-f"]*\)*\)\],"stream":.*/\1/p' "$folder/manifest.json" | tr -d '"' | tr ',' '\n' | sort > "$tmp/named"
  [ -s "$tmp/named" ] || fail 'its manifest names no signer'
  signers "$folder/SHA256SUMS" > "$tmp/signed"
  [ "$(cat "$tmp/named")" = "$(cat "$tmp/signed")" ] || fail 'its signatures are not exactly those of the signers that its manifest names'
  for id in $(cat "$tmp/named"); do
    if known_key "$id" bundle; then
      holds pinned "$algorithm" "$id" "$folder/SHA256SUMS" "$folder/SHA256SUMS" || fail "the signature of key $id does not hold"
      say "$name sha256:$sum signed by $who"
    else
      absent=$((absent + 1))
      say "$name sha256:$sum NOT CHECKED: signed by $id, whose key is not in the export"
    fi
  done
  for document in "$folder"/decisions/*.json; do
    [ -f "$document" ] || continue
    step="decision ${document#bundles/}"
    id=$(signers "$document")
    case $id in '' | *"$nl"*) fail 'it has not exactly one signature' ;; esac
    [ "$(member "$document" keyid)" = "$id" ] || fail "it is to be signed by another key than $id"
    [ "$(member "$document" digest)" = "sha256:$sum" ] || fail 'it is about another bundle'
    [ "$(member "$document" site)" = "$of" ] || fail 'it is for another site'
    decision=$(member "$document" decision)
    case $decision in approve | reject) ;; *) fail 'it is no decision' ;; esac
    report=$(member "$document" report)
    report=${report#sha256:}
    case $report in '' | *[!0-9a-f]*) fail 'it names no report' ;; esac
    if [ ! -f "$folder/reports/$report.json" ] || [ "$(digest "$folder/reports/$report.json")" != "$report" ]; then
      fail 'the report that it names is not there'
    fi
    printf '%s %s sha256:%s\n' "$decision" "$id" "$sum" >> "$tmp/decided"
    if known_key "$id" release; then
      holds pinned "$algorithm" "$id" "$document" "$document" || fail "the signature of key $id does not hold"
      [ "$decision" = reject ] || printf 'sha256:%s\n' "$sum" >> "$tmp/approved"
      say "$name $decision by $who"
    else
      absent=$((absent + 1))
      printf 'sha256:%s\n' "$sum" >> "$tmp/approved"
      say "$name NOT CHECKED: $decision by $id, whose key is not in the export"
    fi
  done
done

step='what was released'
lost=0
sort -u "$tmp/released" > "$tmp/released_once"
while IFS= read -r sum; do
  if ! grep -Fqx -- "$sum" "$tmp/digests"; then
    lost=$((lost + 1))
    say "NOT CHECKED: $sum was released, and the export has no documents of it"
  elif ! grep -Fqx -- "$sum" "$tmp/approved"; then
    fail "$sum was released, and no approval of it is there"
  fi
done < "$tmp/released_once"

step='what was decided'
# DECISION KEYID DIGEST of each approval and rejection in the lanes, and whether it is due: its document must be there. What
# was taken back at once is left out. The documents are read after the event of the export, and a decision is recorded
# before it is in the database: within a second it is not due. A restore or a rebuild may have lost earlier ones.
for file in lanes/*.jsonl; do
  grep -E '^\{"act":"(intake\.(approve|reject)|restore|rebuild|audit\.export)"' "$file" || :
done | awk -v second=1000000 '
  function text(name) {
    if (!match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return "-"
    return substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
  }
  {
    act = text("act"); thing = $0; sub(/^.*,"seq":[0-9]+,"thing":"/, "", thing); sub(/","time":"[^"]*"}$/, "", thing)
    at = $0; sub(/^.*,"micros":/, "", at); sub(/,"outcome":.*$/, "", at); at += 0
    done = $0 ~ /,"outcome":"done","pid":/
    if (act == "audit.export") { if (done && at > export) export = at }
    else if (act == "restore" || act == "rebuild") { if (done && at > lost) lost = at }
    else {
      key = act " " thing " " text("actor")
      if (done && text("keyid") ~ /^[0-9a-f]+$/) {
        n++; said[n] = substr(act, 8) " " text("keyid") " " text("digest"); time[n] = at; last[key] = n
      } else if ($0 ~ /[{,]"takes_back":true[,}]/ && key in last) { delete said[last[key]]; delete last[key] }
    }
  }
  END {
    for (i = 1; i <= n; i++)
      if (i in said && (export == "" || time[i] < export - second)) print said[i], (lost != "" && time[i] <= lost ? "lost" : "due")
  }' | sort -u > "$tmp/due"
undocumented=0
while read -r decision id sum due; do
  ! grep -Fqx -- "$decision $id $sum" "$tmp/decided" || continue
  if [ "$due" = due ] && grep -Fqx -- "$sum" "$tmp/digests"; then
    fail "the log has the decision ($decision) of key $id about $sum, and its document is not there"
  fi
  undocumented=$((undocumented + 1))
  say "NOT CHECKED: $decision by $id about $sum, whose document is not in the export"
done < "$tmp/due"

step='the verdict'
about="station $of, events: $(wc -l < "$tmp/events" | tr -d ' '), bundles: $bundles, head $last_head"
range=''
[ -z "$from" ] || range=" from $from"
[ -z "$until" ] || range="$range before $until"
if [ -s "$tmp/crossed" ]; then
  about="$about; listed$range: $(wc -l < "$tmp/crossed" | tr -d ' ')"
else
  say "nothing crossed$range: no import, release, withdrawal or rejection"
  about="nothing crossed$range; $about"
fi
[ "$uncovered" -eq 0 ] || about="$about; events behind the last checkpoint, chained and not signed: $uncovered"
if grep -q '^begins ' "$tmp/lanes"; then
  about="$about; pruned: $(sed -n 's/^begins \([0-9]*\) \([0-9]*\)/lane \1 begins with event \2/p' "$tmp/lanes" | sort | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
  about="$about, what came before is in the export whose SHA256SUMS has the sha256 $(cut -d' ' -f1 < "$tmp/earlier" | sort -u | tr '\n' ' ' | sed 's/ $//; s/ / or /g')"
fi
open=$(sort "$tmp/unchecked" | uniq -c | awk '{ count = $1; sub(/^ *[0-9]+ /, ""); printf "; not checked: %s: %d", $0, count }')
[ "$absent" -eq 0 ] || open="$open; not checked: signatures whose keys are not in the export: $absent"
[ "$lost" -eq 0 ] || open="$open; not checked: released bundles whose documents are not in the export: $lost"
[ "$undocumented" -eq 0 ] || open="$open; not checked: decisions whose documents are not in the export: $undocumented"
[ -z "$open" ] || finish 4 "INCOMPLETE: what was checked holds$open ($about)"
finish 0 "OK: $about"
