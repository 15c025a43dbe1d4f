<#
.SYNOPSIS
Installs the agent for all users of this machine, registers it with a code, and has it started with the machine. Asks nothing.

.EXAMPLE
.\install.ps1 -Code ABCD-EFGH -Url https://app.theonemigrate.app

.NOTES
Run it as an administrator, in the folder that holds migrate-agent.exe. It makes a task of the Task Scheduler, because the
executable alone is no Windows service. Run again it replaces executable and task, and registers nothing a second time.
#>
param(
    [Parameter(Mandatory)] [ValidatePattern('^[A-Za-z0-9-]+$')] [string] $Code,
    [Parameter(Mandatory)] [ValidatePattern('^https?://[A-Za-z0-9:/._-]+$')] [string] $Url
)
$ErrorActionPreference = 'Stop'
$task = 'The One Migrate agent'
$program = Join-Path $env:ProgramFiles 'migrate-agent\migrate-agent.exe'
$state = Join-Path $env:ProgramData 'migrate-agent'

if (Get-ScheduledTask -TaskName $task -ErrorAction SilentlyContinue) { Stop-ScheduledTask -TaskName $task }
New-Item -ItemType Directory -Force -Path (Split-Path $program), $state | Out-Null
Copy-Item -Force -Path (Join-Path $PSScriptRoot 'migrate-agent.exe') -Destination $program
# The agent's key lies there: for the system and administrators alone (by SID, whatever the language).
& icacls $state /inheritance:r /grant '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
if ($LASTEXITCODE -ne 0) { throw "Cannot protect $state" }

if (-not (Test-Path (Join-Path $state 'config.toml'))) {
    & $program --register $Code --url $Url --state $state --exit
    if ($LASTEXITCODE -ne 0) { throw "Cannot register: migrate-agent ended with $LASTEXITCODE" }
}

$action = New-ScheduledTaskAction -Execute $program -Argument "start --state `"$state`""
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
    -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1)
Register-ScheduledTask -Force -TaskName $task -User 'SYSTEM' -RunLevel Highest -Action $action `
    -Trigger (New-ScheduledTaskTrigger -AtStartup) -Settings $settings | Out-Null
Start-ScheduledTask -TaskName $task
Write-Output "Installed. Ask it how it is: & '$program' status --state '$state'"
