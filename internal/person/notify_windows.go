package person

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

const notifyTime = 10 * time.Second // PowerShell is slow to start

// The variables in which the script finds the texts, so that they are never part of a script.
const (
	titleVariable = "VALET_NOTIFICATION_TITLE"
	textVariable  = "VALET_NOTIFICATION_TEXT"
)

// notifyScript shows a toast. The texts become text nodes of its document, so that they are never markup. Windows wants
// the sender to be an application that it knows: that is PowerShell's own id.
const notifyScript = `$ErrorActionPreference = 'Stop'
[void][Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime]
[void][Windows.Data.Xml.Dom.XmlDocument, Windows.Data.Xml.Dom.XmlDocument, ContentType = WindowsRuntime]
$doc = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$lines = $doc.GetElementsByTagName('text')
[void]$lines.Item(0).AppendChild($doc.CreateTextNode($env:VALET_NOTIFICATION_TITLE))
[void]$lines.Item(1).AppendChild($doc.CreateTextNode($env:VALET_NOTIFICATION_TEXT))
$doc.DocumentElement.SetAttribute('duration', 'long')
$toast = [Windows.UI.Notifications.ToastNotification]::new($doc)
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\WindowsPowerShell\v1.0\powershell.exe').Show($toast)`

// notify starts Windows PowerShell, which has the way to the toasts that newer ones have lost, from the system's own
// folder: one in the current folder or in PATH could be anybody's.
func notify(ctx context.Context, title, text string) error {
	if remote(os.Getenv) {
		return ErrNoDisplay
	}
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoNotifications, err)
	}
	powershell := filepath.Join(system, "WindowsPowerShell", "v1.0", "powershell.exe")
	cmd := exec.CommandContext(ctx, powershell, "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", strings.ReplaceAll(notifyScript, "\n", "; "))
	cmd.Env = append(ForeignEnv(os.Environ()), titleVariable+"="+title, textVariable+"="+text)
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
	return runNotifier(ctx, cmd)
}
