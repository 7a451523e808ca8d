# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by scripts/vm: one guest, from its start to its end.
#
# Needs: run (the run directory, with the FIFOs out and err), kernel, initrd,
# scratch, cpus, mem, limit, append, interactive, icount. Sets: qemu (its pid, or empty).

qemu=

# qemu_accelerator: sets accel, and threads for emulation.
qemu_accelerator() {
	local version

	if [ "$icount" = yes ]; then
		accel=tcg threads=single cpus=1
		return
	fi
	accel=$("$TOP/scripts/accel" "$kernel" "$initrd")
	threads=multi
	version=$(qemu-system-x86_64 --version | sed -n -E '1s/.*version ([0-9.]+).*/\1/p')
	if [ "$accel" = tcg ] && [ "$cpus" -gt 1 ] && version_lt "$version" 8.1; then
		say "QEMU $version crashes guests with several emulated CPUs: using one thread for" \
		    "all, which is slow (scripts/setup installs a newer one)"
		threads=single
	fi
}

qemu_stop() {
	if [ -n "$qemu" ] && kill "$qemu" 2> /dev/null; then
		wait "$qemu" || :
	fi
	qemu=
}

# qemu_run: boots and waits; returns QEMU's status, 124 or 137 when time was up.
# A reader of our output that goes away (scripts/vm ... | head) ends the guest and
# us, as it would end a program.
qemu_run() {
	local out err pid status ended rc=
	local -a args running still
	local cmdline="console=ttyS0 loglevel=8 panic=-1 oops=panic mitigations=off vm.run=$run"

	: > "$run/status"
	: > "$run/console"
	# shellcheck disable=SC2054
	args=(-machine q35 -smp "$cpus" -m "$mem"
		-nodefaults -no-user-config -no-reboot -display none
		-kernel "$kernel" -initrd "$initrd"
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap
		-device virtio-9p-pci,fsdev=root,mount_tag=hostroot
		-fsdev "local,id=scratch,path=$scratch,security_model=none,multidevs=remap"
		-device virtio-9p-pci,fsdev=scratch,mount_tag=scratch
		-chardev "file,id=console,path=$run/console" -serial chardev:console
		-device virtio-serial-pci
		-chardev "file,id=out,path=$run/out" -device virtserialport,chardev=out,name=out
		-chardev "file,id=err,path=$run/err" -device virtserialport,chardev=err,name=err
		-chardev "file,id=status,path=$run/status"
		-device virtserialport,chardev=status,name=status)
	case $accel in
	kvm)
		args+=(-accel kvm -cpu host) ;;
	tcg)
		# A string instruction takes a turn of the emulation for each element (and counts
		# for one each): let the kernel copy by words, not by bytes. 40 MB through a pipe
		# take about a quarter less CPU time, with much noise. Whether other features cost
		# something (5-level page tables, SMAP) was lost in the noise; SMAP finds bugs.
		args+=(-accel "tcg,thread=$threads" -cpu "max,-erms,-fsrm,-fsrs,-fzrm")
		[ "$icount" = no ] || args+=(-icount "shift=0,sleep=off")
		# An emulated CPU on a busy host may stand still for long: no false alarms, no
		# panic for a timer that did not tick, and no change to a slower clock.
		cmdline+=" rcupdate.rcu_cpu_stall_timeout=60 watchdog_thresh=30"
		cmdline+=" workqueue.watchdog_thresh=120 no_timer_check"
		# its clock is the host's; without icount, where it is the instructions
		[ "$icount" = yes ] || cmdline+=" tsc=reliable tsc_early_khz=$("$BUILD/tsc-khz")"
		# the self-test of a random number generator would be a tenth of the boot
		cmdline+=" initcall_blacklist=jent_mod_init" ;;
	esac
	if [ "$interactive" = yes ]; then
		# shellcheck disable=SC2054
		args+=(-chardev "stdio,id=tty,signal=off" -device virtconsole,chardev=tty)
		exec 8<&0
	else
		exec 8< /dev/null
	fi

	cat < "$run/out" &
	out=$!
	cat < "$run/err" >&2 &
	err=$!
	timeout --foreground -k 5 "$limit" \
		qemu-system-x86_64 "${args[@]}" -append "$cmdline $append" <&8 8<&- 2> "$run/qemu" &
	qemu=$!
	exec 8<&-

	running=("$qemu" "$out" "$err")
	while [ ${#running[@]} -gt 0 ]; do
		status=0 ended=
		wait -n -p ended "${running[@]}" || status=$?
		if [ "$ended" = "$qemu" ]; then
			rc=$status qemu=
		elif [ "$status" != 0 ]; then
			exit "$status"
		fi
		still=()
		for pid in "${running[@]}"; do
			[ "$pid" = "$ended" ] || still+=("$pid")
		done
		running=(${still[@]+"${still[@]}"})
	done
	return "$rc"
}
