package main

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A usage is what the processes of one role have taken so far.
type usage struct {
	role string
	pids []int
	cpu  time.Duration
	rss  int64 // bytes
}

// clockTicks is USER_HZ, in which Linux counts CPU time for user space whatever the kernel's own tick.
const clockTicks = 100

// processes reads RELINK_PIDS anew (functions come and go) and what each role has used. Roles are those of the variable:
// connector, localstack, fc:property …
func (a *app) processes() ([]usage, error) {
	if err := a.env.load(a.envFile); err != nil {
		return nil, err
	}
	byRole := map[string]*usage{}
	for _, item := range strings.Split(a.env.get("RELINK_PIDS"), ",") {
		role, text, ok := strings.Cut(item, "=")
		pid, err := strconv.Atoi(text)
		if !ok || err != nil {
			continue
		}
		u := byRole[role]
		if u == nil {
			u = &usage{role: role}
			byRole[role] = u
		}
		cpu, rss, err := processUsage(pid)
		if err != nil {
			continue // it ended meanwhile
		}
		u.pids = append(u.pids, pid)
		u.cpu += cpu
		u.rss += rss
	}
	all := make([]usage, 0, len(byRole))
	for _, u := range byRole {
		all = append(all, *u)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].role < all[j].role })
	return all, nil
}

// processUsage reads /proc/PID/stat (fields 14 and 15: user and system time) and statm (field 2: resident pages).
func processUsage(pid int) (cpu time.Duration, rss int64, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	end := bytes.LastIndexByte(stat, ')') // the command's name may hold anything
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	statm, err3 := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, 0, fmt.Errorf("process %d ended", pid)
	}
	if f := strings.Fields(string(statm)); len(f) > 1 {
		pages, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return 0, 0, err
		}
		rss = pages * int64(os.Getpagesize())
	}
	return time.Duration(user+system) * time.Second / clockTicks, rss, nil
}
