SELECT aion.start_workflow('steps', '{"n": 1}');
