// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: 2026 The orchestrator.platform authors

// Program runc-available-caps is an OCI runtime that calls runc with a specification this host can fulfil.
//
// Docker before version 23 asks for every capability it knows when a container is privileged. On a host whose
// bounding set lacks one (nested virtual machines withhold CAP_SYS_RESOURCE) runc then refuses both to create
// the container and to run a process in it. We take the capabilities outside our own bounding set out of
// `config.json` (option --bundle) and out of the process file (option --process), and leave all else alone.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// names holds the capabilities by their number in linux/capability.h.
var names = strings.Fields(`
CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP
CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER
CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE
CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP
CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF
CAP_CHECKPOINT_RESTORE`)

// available reads the names in our own bounding set; status is the text of /proc/self/status.
func available(status string) (map[string]bool, error) {
	for _, line := range strings.Split(status, "\n") {
		text, found := strings.CutPrefix(line, "CapBnd:")
		if !found {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(text), 16, 64)
		if err != nil {
			return nil, err
		}
		allowed := map[string]bool{}
		for number, name := range names {
			if mask&(1<<number) != 0 {
				allowed[name] = true
			}
		}
		return allowed, nil
	}
	return nil, fmt.Errorf("/proc/self/status has no CapBnd line")
}

// restrict drops what is not allowed from each of the capability lists of a process.
func restrict(process map[string]any, allowed map[string]bool) {
	capabilities, _ := process["capabilities"].(map[string]any)
	for set, value := range capabilities {
		list, _ := value.([]any)
		kept := []any{}
		for _, name := range list {
			if text, isText := name.(string); isText && allowed[text] {
				kept = append(kept, name)
			}
		}
		capabilities[set] = kept
	}
}

// rewrite changes one JSON file in place (by rename, mode kept); pick finds the process in it.
func rewrite(path string, allowed map[string]bool, pick func(map[string]any) map[string]any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // limits are 64 bit numbers: a float would round them
	document := map[string]any{}
	if err := decoder.Decode(&document); err != nil {
		return err
	}
	restrict(pick(document), allowed)
	changed, err := json.Marshal(document)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	next := path + ".available-caps"
	if err := os.WriteFile(next, changed, mode); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// option finds the value of an option written as `--name value`, `--name=value` or with its one-letter form.
func option(arguments []string, names ...string) string {
	value := ""
	for index, argument := range arguments {
		for _, name := range names {
			if argument == name && index+1 < len(arguments) {
				value = arguments[index+1]
			} else if text, found := strings.CutPrefix(argument, name+"="); found {
				value = text
			}
		}
	}
	return value
}

func run(arguments []string) error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	allowed, err := available(string(status))
	if err != nil {
		return err
	}
	if bundle := option(arguments, "--bundle", "-b"); bundle != "" {
		process := func(document map[string]any) map[string]any {
			inner, _ := document["process"].(map[string]any)
			return inner
		}
		if err := rewrite(filepath.Join(bundle, "config.json"), allowed, process); err != nil {
			return err
		}
	}
	if file := option(arguments, "--process", "-p"); file != "" {
		whole := func(document map[string]any) map[string]any { return document }
		if err := rewrite(file, allowed, whole); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return syscall.Exec(runc, append([]string{"runc"}, arguments...), os.Environ())
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runc-available-caps:", err)
		os.Exit(1)
	}
}
