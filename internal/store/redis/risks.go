package redis

import (
	"context"
	"fmt"
	"strings"
)

// kept is how a server keeps what it is told; "" is unknown.
type kept struct {
	appendonly, appendfsync, save string
	maxmemory, policy             string
	minReplicas, replicas, role   string
	aofWrite, rdbSave             string
}

// Risks implements session.Home: what of its settings and its state can lose
// sessions, each with the line of redis.conf that mends it.
func (h *Home) Risks(ctx context.Context) ([]string, error) {
	var k kept
	info, err := h.info(ctx)
	if err != nil {
		return nil, err
	}
	k.fromInfo(info)
	settings, err := h.settings(ctx)
	if err != nil {
		return nil, err
	}
	k.fromSettings(settings)
	risks := k.disk()
	risks = append(risks, k.memory()...)
	risks = append(risks, k.copies()...)
	for i, risk := range risks {
		risks[i] = "Redis at " + h.place.address + " " + risk
	}
	return risks, nil
}

// info is empty when the access list forbids to ask.
func (h *Home) info(ctx context.Context) (map[string]string, error) {
	answer, err := h.do(ctx, h.client.B().Info().Build())
	if forbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := answer.ToString()
	if err != nil {
		return nil, fmt.Errorf("redis: answer to INFO: %w", err)
	}
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out[name] = value
		}
	}
	return out, nil
}

// settings is empty when the access list forbids to ask, or the service that runs
// the server does.
func (h *Home) settings(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	// One at a time: before Redis 7 CONFIG GET takes a single name.
	for _, name := range []string{"appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy", "min-replicas-to-write"} {
		answer, err := h.do(ctx, h.client.B().ConfigGet().Parameter(name).Build())
		if forbidden(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		some, err := answer.AsStrMap()
		if err != nil {
			return nil, fmt.Errorf("redis: answer to CONFIG GET: %w", err)
		}
		for name, value := range some {
			out[name] = value
		}
		if value, ok := some[name]; ok && value == "" {
			out[name] = "none"
		}
	}
	return out, nil
}

// forbidden reports whether a server refuses a command, not us or the moment.
func forbidden(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "NOPERM") || strings.Contains(text, "unknown command") || strings.Contains(text, "unknown subcommand")
}

func (k *kept) fromInfo(info map[string]string) {
	k.role, k.replicas, k.maxmemory, k.policy = info["role"], info["connected_slaves"], info["maxmemory"], info["maxmemory_policy"]
	k.aofWrite, k.rdbSave = info["aof_last_write_status"], info["rdb_last_bgsave_status"]
	switch info["aof_enabled"] {
	case "0":
		k.appendonly = "no"
	case "1":
		k.appendonly = "yes"
	}
	// This line is there when a number is set.
	if _, set := info["min_slaves_good_slaves"]; set {
		k.minReplicas = "set"
	}
}

func (k *kept) fromSettings(settings map[string]string) {
	for name, to := range map[string]*string{
		"appendonly": &k.appendonly, "appendfsync": &k.appendfsync, "save": &k.save,
		"maxmemory": &k.maxmemory, "maxmemory-policy": &k.policy, "min-replicas-to-write": &k.minReplicas,
	} {
		if value, told := settings[name]; told {
			*to = value
		}
	}
}

// disk is what a restart loses.
func (k *kept) disk() (risks []string) {
	switch {
	case k.appendonly == "":
		return []string{`does not let us see how it keeps data: allow CONFIG GET or INFO ("ACL SETUSER NAME +config|get +info").`}
	case k.appendonly == "no" && k.save == "none":
		risks = append(risks, `keeps nothing on disk, so a restart signs everybody out: set "appendonly yes".`)
	case k.appendonly == "no":
		risks = append(risks, `saves at best a snapshot now and then, so a crash loses the sessions of the last minutes or more: set "appendonly yes".`)
	case k.appendfsync == "no":
		risks = append(risks, `leaves it to the system when data reaches the disk, so a power failure loses about the last 30 seconds: set "appendfsync always".`)
	case k.appendfsync == "everysec":
		risks = append(risks, `writes to disk once a second, so a power failure loses up to the last two seconds: set "appendfsync always" to lose nothing.`)
	case k.appendfsync == "":
		risks = append(risks, `does not let us see how soon data reaches its disk: allow CONFIG GET, and set "appendfsync always" to lose nothing.`)
	}
	if k.appendonly == "yes" && k.aofWrite != "" && k.aofWrite != "ok" {
		risks = append(risks, `could not write to its append-only file the last time: make room on the disk of "dir" or let it write there.`)
	}
	if k.rdbSave != "" && k.rdbSave != "ok" {
		risks = append(risks, `could not write its last snapshot: make room on the disk of "dir" and in memory ("vm.overcommit_memory = 1" in sysctl.conf), or set "save """ if snapshots are not wanted.`)
	}
	return risks
}

// memory is what a full memory loses.
func (k *kept) memory() []string {
	if k.maxmemory == "" || k.maxmemory == "0" || k.policy == "noeviction" || k.policy == "" {
		return nil
	}
	if strings.HasPrefix(k.policy, "allkeys-") {
		return []string{fmt.Sprintf("drops any key when its memory is full (%s): sessions vanish, and some can no longer be found to be ended: set \"maxmemory-policy noeviction\".", k.policy)}
	}
	return []string{fmt.Sprintf("drops sessions when its memory is full (%s), which signs people out: set \"maxmemory-policy noeviction\".", k.policy)}
}

// copies is what a failover loses.
func (k *kept) copies() (risks []string) {
	if k.role == "slave" {
		risks = append(risks, `has become a replica, so nothing can be written: name the server it replicates, or run "REPLICAOF NO ONE" on it.`)
	}
	if k.replicas != "" && k.replicas != "0" && (k.minReplicas == "" || k.minReplicas == "0") {
		risks = append(risks, `has replicas and does not wait for any, so a failover may lose the last writes: set "min-replicas-to-write 1".`)
	}
	return risks
}
