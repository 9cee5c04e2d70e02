// Ota is the function that serves the device side of updates and jobs: version reports, progress, requests for packages, jobs.
package main

import (
	"maps"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/command"
	"relink/shared/download"
	"relink/shared/exchange"
	"relink/shared/job"
	"relink/shared/ota"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	urls, err := download.NewSigner(p.Cloud.DownloadURL, p.Cloud.InternalKey, time.Now)
	if err != nil {
		return nil, err
	}
	jobs := job.New(p.Store.Jobs(), urls, command.Remote{FC: p.FC}, time.Now)
	// Rollouts are not here yet: devices report, and are told that there is nothing for them.
	families := ota.New(p.Store.DeviceVersions(), nil, time.Now, jobs.Pending).Families()
	maps.Copy(families, jobs.Families())
	return &exchange.Desk{Log: p.Log, Rules: p.Rules, Families: families}, nil
}
