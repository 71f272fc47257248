"""What users of the seed are promised, and the test that holds each promise: rows of its table, and its behaviours.

``tests/unit/test_seed_contract.py`` sees that every test named here exists, and that no test of the family is missing.
"""

from __future__ import annotations

from collections.abc import Mapping

_CHAT = "end_to_end/test_seed_chat.py::test_"
_FLAGS = "end_to_end/test_seed_flags.py::test_"
_COMMANDS = "end_to_end/test_seed_commands.py::test_"
_TERMINAL = "end_to_end/test_chat.py::test_"
_SAFETY = "end_to_end/test_chat_safety_and_models.py::test_"
_RESUME = "end_to_end/test_sessions_resume.py::test_"
_SERVE = "end_to_end/test_serve.py::test_"
_DEMOS = "end_to_end/test_seed_demos.py::test_"
_BEHAVIOURS = "end_to_end/test_seed_behaviours.py::test_behaviour_"

ROWS: Mapping[str, tuple[str, ...]] = {
    "interpreter": (_COMMANDS + "interpreter_opens_an_interactive_chat",),
    "chat(…)": (_CHAT + "chat_runs_one_task_prints_it_and_returns_the_messages",),
    "chat()": (_CHAT + "chat_without_a_message_opens_the_interactive_chat",),
    "second chat": (_CHAT + "a_second_chat_remembers_earlier_turns_and_the_sandboxs_state",),
    "chat(…, stream=True, display=False)": (
        _CHAT + "stream_without_display_is_a_lazy_generator_of_chunks_and_prints_nothing",),
    "chat(…, stream=True)": (_CHAT + "stream_also_displays",),
    "return value of chat": (_CHAT + "the_return_value_of_chat_is_the_full_list_so_that_assigning_it_resumes",),
    "chat argument": (_CHAT + "the_argument_of_chat_is_a_text_a_message_or_a_list_that_replaces_the_history",),
    "reset()": (_CHAT + "reset_forgets_conversation_and_state_keeps_settings_and_starts_a_new_history_file",),
    "messages": (_CHAT + "messages_are_readable_assignable_and_json_serialisable",),
    "system_message": (_CHAT + "system_message_is_readable_and_adding_to_it_affects_the_next_turn",),
    "model, --model/-m": (_FLAGS + "model_is_any_litellm_model_string",),
    "temperature, api_base, api_key, max_budget, max_output, context_window, max_tokens": (
        _FLAGS + "settings_of_the_model_are_attributes", _FLAGS + "settings_of_the_model_are_flags"),
    "--local/-l": (
        _FLAGS + "local_uses_lm_studios_address_a_window_of_3000_and_answers_of_1000",
        _FLAGS + "local_detects_a_server_on_its_usual_port",
        _FLAGS + "local_without_a_server_prints_the_steps_and_the_chat_goes_on"),
    "--max_tokens, --context_window": (
        _FLAGS + "max_tokens_must_be_smaller_than_context_window_in_either_spelling",
        _FLAGS + "every_underscore_flag_of_the_seed_has_both_spellings"),
    "--debug/-d, %debug": (
        _FLAGS + "debug_shows_what_is_sent_without_keys_and_tracebacks", _COMMANDS + "auto_run_and_debug_are_switched"),
    "--fast/-f, --vision/-v": (
        _FLAGS + "fast_takes_the_providers_fast_model", _FLAGS + "vision_attaches_images_that_the_prompt_names",
        "end_to_end/test_vision.py::test_images_that_code_draws_go_back_to_a_model_that_sees"),
    "--safe_mode": (
        _SAFETY + "safe_mode_auto_shows_what_was_found_and_asks_also_where_code_would_run_unasked",
        _SAFETY + "safe_mode_ask_offers_to_scan"),
    "--config": (_FLAGS + "config_opens_the_settings_in_the_editor_and_prints_their_path_without_a_terminal",),
    "--config --config_file X": (_FLAGS + "config_with_config_file_creates_that_from_the_defaults_and_opens_it",),
    "--config_file X": (
        _FLAGS + "config_file_is_a_name_in_the_config_folder_or_a_path_and_a_missing_one_names_the_places",),
    "extend_config(config_path=…)": (
        _FLAGS + "extend_config_lays_a_file_over_the_settings_and_names_the_nearest_key",),
    "--conversations": (
        _RESUME + "conversations_picks_an_earlier_one_replays_it_and_goes_on_in_the_same_file",),
    "--version": (_FLAGS + "version_is_printed",),
    "%reset, %undo, %help": (
        _COMMANDS + "reset_forgets_undo_drops_the_last_message_and_all_after_it_and_help_lists_all",),
    "%save_message [path], %load_message [path]": (
        _COMMANDS + "save_message_and_load_message_keep_a_conversation_as_json",
        _COMMANDS + "load_message_of_a_missing_or_malformed_file_is_told_and_nothing_is_lost"),
    "%tokens [prompt]": (
        _COMMANDS + "tokens_tells_tokens_and_cost_of_the_next_request_of_a_prompt_and_the_total",),
    "%%, %auto_run, %info, %jupyter, %markdown, %sandbox, %upload, %download": (
        _COMMANDS + "shell_lines_run_in_the_sandbox", _COMMANDS + "auto_run_and_debug_are_switched",
        _COMMANDS + "info_and_sandbox_tell_what_is_in_force",
        _COMMANDS + "jupyter_and_markdown_export_the_conversation",
        _COMMANDS + "upload_and_download_copy_files_in_and_out"),
    "unknown %command": (_COMMANDS + "an_unknown_command_says_so_and_names_the_nearest",),
    "approval": (
        _TERMINAL + "code_that_is_approved_runs_and_its_state_lasts", _TERMINAL + "code_that_is_declined_does_not_run",
        _TERMINAL + "code_is_edited_before_it_runs", _TERMINAL + "ctrl_c_and_end_of_input_at_the_question_mean_no"),
    "-y/--auto_run, auto_run = True": (_CHAT + "auto_run_skips_the_question",),
    "nobody to ask": (_CHAT + "with_nobody_to_ask_the_code_does_not_run",),
    "exec function": (_CHAT + "the_exec_function_is_one_tool_and_fences_serve_models_without_unless_overridden",),
    "server sample": (
        _SERVE + "the_demo_runs_over_http_and_its_picture_comes_along", _SERVE + "curl_reads_the_stream_as_it_comes",
        "end_to_end/test_serve_docs.py::test_the_fastapi_server_of_the_seed_streams_chat_and_gives_history"),
    "demos": (
        "end_to_end/test_seed_limits.py::test_data_is_cleaned_analysed_and_plotted_in_the_bundled_image",
        _DEMOS + "a_photo_is_resized_and_watermarked", _DEMOS + "a_video_is_cut_and_subtitled",
        _DEMOS + "documents_are_merged_stamped_and_split",
        _DEMOS + "a_browser_loads_a_page_served_inside_clicks_reads_and_photographs_it",
        _DEMOS + "five_million_rows_are_cleaned_analysed_and_plotted_within_two_gigabytes"),
    "complaints about hosted interpreters": (
        "end_to_end/test_seed_limits.py::test_network_packages_uploads_time_and_state_are_settings_with_stated_defaults",
        "end_to_end/test_seed_limits.py::test_a_file_of_more_than_100_mb_goes_in"),
    "messages and chunks": (_CHAT + "messages_and_chunks_have_the_promised_shape",),
}
"""Each row of the table, by the feature that its first column names, and what the page says below the table."""

BEHAVIOURS: Mapping[int, tuple[str, ...]] = {
    1: (_BEHAVIOURS + "01_a_fenced_block_in_one_delta_or_split_at_any_character_is_the_same_code",),
    2: (_BEHAVIOURS + "02_code_with_its_languages_name_and_backticks_in_prose_are_unchanged",),
    3: (_BEHAVIOURS + "03_malformed_calls_run_as_they_were_meant",),
    4: (_BEHAVIOURS + "04_a_tool_call_named_python_is_run",),
    5: (_BEHAVIOURS + "05_an_unknown_language_is_told_to_the_model_and_the_loop_goes_on",
        _BEHAVIOURS + "05_the_same_failing_block_three_times_stops_the_loop_which_says_why"),
    6: (_BEHAVIOURS + "06_state_and_files_last_also_after_the_messages_are_cleared",),
    7: (_BEHAVIOURS + "07_increments_arrive_separately",),
    8: (_BEHAVIOURS + "08_abandoning_a_stream_stops_the_loop_in_the_sandbox_and_saves_the_history",),
    9: (_BEHAVIOURS + "09_four_interpreters_leak_nothing_into_each_other",),
    10: (_BEHAVIOURS + "10_a_plot_is_one_picture",),
    11: (_BEHAVIOURS + "11_of_a_long_output_the_model_sees_head_and_tail_and_the_user_all",),
    12: (_BEHAVIOURS + "12_a_failed_call_is_tried_again",
         _BEHAVIOURS + "12_at_last_there_is_a_clear_error_and_the_conversation_is_intact"),
    13: (_BEHAVIOURS + "13_the_budget_stops_before_the_next_call_and_says_the_sum",),
    14: (_BEHAVIOURS + "14_names_of_history_files_are_valid_unique_and_readable",),
    15: (_BEHAVIOURS + "15_pictures_and_long_outputs_push_neither_system_message_nor_the_last_user_message_out",),
}
