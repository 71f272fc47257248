"""What each engine of the matrix is known not to do, as the tests that are left out there, with the reason.

What of it concerns users stands in ``engines/gaps.py`` and on the page on engines as well.
"""

from __future__ import annotations


def left_out(reason: str, *tests: str) -> dict[str, str]:
    return dict.fromkeys((f"tests/{test}" for test in tests), reason)


HARDENING = "contract/test_hardening.py::test_"
BENCHMARK = "contract/test_cis_docker_benchmark.py::test_the_benchmarks_item_holds"
STORE = "contract/test_image_store.py::test_"
NO_SOCKET = left_out("the engine is on no socket of this machine, and is spoken to through the SDK",
                     "contract/test_engine_quick.py")
UNPROVED = left_out("an image without Python cannot tell there which folder it sees, so this machine's is refused",
                    "contract/test_no_python.py")
OWN_NETWORK = left_out("the engine is in a network of its own, where the test's registry is not",
                       f"{STORE}a_pull_brings_the_image", f"{STORE}a_silent_registry_is_not_waited_for")
PODMAN = {
    **OWN_NETWORK,
    **left_out("Podman's inspect says the same in other words",
               *(f"{BENCHMARK}[{item}" for item in ("5.3 ", "5.15 ", "5.18 ", "5.20 ")),
               f"{HARDENING}every_capability_is_dropped_and_none_added", f"{HARDENING}another_policy",
               f"{HARDENING}core_dumps_and_open_files_are_limited", f"{HARDENING}the_kernels_own_files_are_masked",
               f"{HARDENING}no_device_is_given_and_sysctls_only_narrow", f"{HARDENING}the_runtime_is_the_engines",
               f"{HARDENING}an_init_reaps_and_nothing_is_logged_or_kept",
               "contract/test_no_python.py::test_it_stands_under_the_same_policy"),
    **left_out("Podman's places in memory are root's, and open to all",
               "contract/test_installed_packages.py::test_the_folder_is_the_codes_and_nobody_elses"),
    **left_out("Podman closes a container's stdin with its first client",
               "contract/test_egress.py::test_a_client_that_comes_back_finds_a_way_out_that_works",
               "contract/test_sandbox.py::test_a_second_client", "contract/test_sandbox.py::test_a_client_that_dies",
               "contract/test_workspace_copy.py::test_a_conversation_that_was_killed",
               "attack/test_host_holds.py::test_a_flood_taken_up_half_way_goes_on_at_a_whole_frame"),
    **left_out("Podman builds and names images in its own way",
               f"{STORE}a_build_yields_its_steps_and_leaves_a_labelled_image", f"{STORE}a_build_that_cannot_work",
               f"{STORE}a_root_file_system_becomes_an_image"),
    **left_out("Podman's tmpfs knows no limit of files", "attack/test_exhaustion.py::test_scratch_space_filled",
               "attack/test_exhaustion.py::test_a_hog_in_memory_that_is_full_of_files"),
    **left_out("Podman tells of no end by the memory limit among its events",
               "attack/test_exhaustion.py::test_code_that_makes_the_memory_limit_take_the_agent"),
    **left_out("Podman's filter of kernel calls lets namespaces be made, and the agent's own takes a Python",
               "attack/test_without_python.py::test_what_needs_privilege_fails[unshare -Ur"),
    **left_out("Podman's list of processes has other columns",
               "attack/test_host_faults.py::test_a_container_that_is_ended_from_outside_costs_its_run_and_no_file[agent"),
    **left_out("the same, so that nothing can wait for a second one", "contract/test_standby.py",
               "attack/test_hostile_image.py::test_a_volume_is_none_in_a_sandbox_that_waits"),
    **left_out("Podman is spoken to through the SDK alone", "contract/test_engine_quick.py"),
    **left_out("Podman has two writable places more, a page in size, and mounts its own init",
               "attack/test_hostile_image.py::test_a_volume_of_the_image_is_no_place_to_write_to",
               "attack/test_surface.py::test_nothing_can_be_written", "attack/test_surface.py::test_no_engines_socket",
               "attack/test_without_python.py::test_nothing_can_be_written",
               f"{HARDENING}scratch_space_is_in_memory_sized_and_without_devices_or_setuid"),
}
SURFACE = "attack/test_surface.py::test_"
BARE = "attack/test_without_python.py::test_"
EXHAUSTION = "attack/test_exhaustion.py::test_"
TAKEOVER = "attack/test_takeover.py::test_"
FULL = "contract/test_full_network.py::test_"
GVISOR = {
    **OWN_NETWORK,
    **left_out("runsc is started without a network of its own there",
               f"{FULL}this_machine_", f"{FULL}neither_broadcast", f"{FULL}what_this_machine_gets_later",
               f"{FULL}what_another_container_publishes", f"{FULL}what_is_beyond_this_machine"),
    **left_out("gVisor's kernel says it in other words", "contract/test_sandbox.py::test_a_read_only_workspace_cannot",
               f"{SURFACE}code_has_no_capability", f"{BARE}code_has_no_capability",
               f"{SURFACE}no_program_gives_privileges_away", f"{SURFACE}there_is_no_device_but",
               f"{SURFACE}no_engines_socket_and_no_folder", f"{BARE}a_python_that_cannot_set_the_filter",
               "attack/test_workspace_links.py::test_devices_in_a_shared_folder_are_of_no_use",
               f"{HARDENING}scratch_space_is_in_memory", f"{EXHAUSTION}what_system_v_keeps",
               "contract/test_egress.py::test_there_is_no_interface_but_loopback_and_no_proxy",
               "contract/test_cis_docker_benchmark.py::test_an_auditor_finds_nothing_inside[cat /proc/self/setgroups"),
    **left_out("gVisor grants it inside of its own kernel, where the machine's is not reached", *(
        f"{place}what_needs_privilege_fails[{attempt}" for place in (SURFACE, BARE)
        for attempt in ("unshare -Ur", "mknod", "dmesg", "renice")),
        *(f"attack/test_kernel_calls.py::test_what_reaches_into_the_kernel_is_refused[call('{attempt}"
          for attempt in ("mknodat', -100, b'/tmp", "syslog"))),
    **left_out("what runs in gVisor is no process of this machine's, where the test looks for it",
               "attack/test_left_behind.py::test_stopped_and_traced_processes", "attack/test_host_faults.py::"
               "test_a_container_that_is_ended_from_outside_costs_its_run_and_no_file[agent_killed]"),
    **left_out("gVisor does not spare the first process", f"{TAKEOVER}init_cannot_be_killed"),
    **left_out("gVisor's own threads are more than so few",
               f"{HARDENING}another_policy_changes_what_it_names_and_nothing_else[small]"),
    **left_out("Docker removes a frozen container of gVisor's at its second try only",
               "attack/test_host_faults.py::test_a_container_that_is_frozen"),
    **left_out("gVisor's tmpfs knows no limit of files", f"{EXHAUSTION}scratch_space_filled"),
    **left_out("gVisor counts in a kernel of its own, and shows no counters",
               "contract/test_python_kernel.py::test_too_many_processes_are_named",
               "contract/test_python_kernel.py::test_running_out_of_memory_takes_the_cell",
               "contract/test_no_python.py::test_memory_that_runs_out", f"{EXHAUSTION}a_memory_hog",
               f"{EXHAUSTION}a_hog_in_a_background_child", f"{EXHAUSTION}a_hog_in_memory_that_is_full_of_files",
               f"{EXHAUSTION}threads_count_as_processes",
               f"{EXHAUSTION}a_fork_bomb_stops", f"{BARE}a_fork_bomb_stops"),
}
SANDBOX = "contract/test_sandbox.py::test_"
PACKAGES = "contract/test_installed_packages.py::test_"
FAR = OWN_NETWORK | NO_SOCKET | {
    **left_out("the files of a sandbox are in its memory there, on no disk", *(
        f"attack/test_disk.py::test_{name}" for name in (
        "the_run_ends", "what_fills_the_disk", "a_disk_that_is", "the_folder_of", "who_is_over", "what_is_installed",
        "a_limit_of_nought", "the_command_line"))),
    **left_out("the files of a sandbox that has no folder of its user's are in its memory there, and end with it",
               f"{SANDBOX}code_that_ends_the_agent_costs_the_run_only", f"{TAKEOVER}forged_frames_end_the_session",
               f"{SANDBOX}closing_leaves_no_container",
               "attack/test_host_faults.py::test_a_container_that_is_ended_from_outside",
               "attack/test_exhaustion.py::test_code_that_makes_the_memory_limit_take_the_agent",
               "attack/test_conversation_faults.py::test_a_client_that_sleeps_longer"),
    **left_out("the workspace is a place in memory there, and no mount", f"{HARDENING}the_workspace_is_the_only_mount",
               f"{BENCHMARK}[5.5 ", "attack/test_hostile_image.py::test_a_volume_of_the_image_is_no_place_to_write_to",
               f"{HARDENING}scratch_space_is_in_memory", f"{PACKAGES}the_folder_is_the_codes_and_nobody_elses[private]",
               f"{PACKAGES}they_are_on_disk_seen_at_once_and_there_after_the_kernels_end[private]",
               f"{PACKAGES}without_a_network_they_stay_in_memory"),
}
