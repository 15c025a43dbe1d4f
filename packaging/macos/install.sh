#!/bin/sh
# Installs the agent for this Mac, registers it with a code, and has it started with the machine by launchd. Asks nothing.
#   sudo REGISTER_CODE=ABCD-EFGH MIGRATE_API_URL=https://… sh install.sh
# Run it in the folder that holds migrate-agent. Run again it replaces the executable, and registers nothing a second time.
set -eu
label=app.theonemigrate.agent
program=/usr/local/bin/migrate-agent
state="/Library/Application Support/migrate-agent"
plist="/Library/LaunchDaemons/$label.plist"

mkdir -p /usr/local/bin "$state"
chmod 0700 "$state"
install -m 0755 "$(dirname "$0")/migrate-agent" "$program"
if [ ! -e "$state/config.toml" ]; then
  "$program" --register "${REGISTER_CODE:?Set REGISTER_CODE}" --url "${MIGRATE_API_URL:?Set MIGRATE_API_URL}" --state "$state" --exit
fi

# KeepAlive only after a crash: one that was refused or revoked ends on purpose, and would be started for ever.
cat > "$plist" << PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>$label</string>
  <key>ProgramArguments</key>
  <array><string>$program</string><string>start</string><string>--state</string><string>$state</string></array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>Crashed</key><true/></dict>
  <key>ProcessType</key><string>Background</string>
</dict>
</plist>
PLIST
chmod 0644 "$plist"
launchctl bootout "system/$label" 2> /dev/null || true
launchctl bootstrap system "$plist"
echo "Installed. Ask it how it is: sudo $program status --state \"$state\""
